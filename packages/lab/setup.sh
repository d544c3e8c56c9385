#!/bin/sh
# Makes this machine ready: setup.sh [--missing] SET
# Installs the npm packages and a set of Debian packages; --missing only names the Debian packages to install. Needs no npm package itself.
set -eu
cd "$(dirname "$0")/../.."

base="python3 make g++" # npm compiles raw-socket and packages/udp
demo="$base iproute2 ethtool util-linux qemu-system-x86 ovmf curl"
# dhcpcd-base, not dhcpcd5: the latter would start to configure this machine's own interfaces.
tests="$demo tcpdump ndisc6 bind9-dnsutils knot-dnsutils dnsperf unbound openssl dosfstools mtools grub-common libarchive-tools radvd radvdump isc-dhcp-client isc-dhcp-relay dhcpcd-base systemd gcc strace libfaketime chromium"
bench="$tests kea-dhcp6-server dnsmasq-base nginx-light apache2"

only_tell=
[ "${1-}" != --missing ] || { only_tell=1; shift; }
case ${1-} in
  base) packages=$base why="to compile the native modules" ;;
  demo) packages=$demo why="for the provisioning VLAN and its virtual machines" ;;
  test) packages=$tests why="for the provisioning VLAN, its virtual machines and the real clients of the tests" ;;
  bench) packages=$bench why="for the benchmarks and the servers that they compare with" ;;
  *) echo "usage: setup.sh [--missing] base|demo|test|bench" >&2; exit 2 ;;
esac

fail() { echo "setup: $*" >&2; exit 1; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# quietly WHAT COMMAND...: says nothing unless the command fails.
quietly() {
  what=$1; shift
  "$@" >"$log" 2>&1 </dev/null || { tail -n 100 "$log" >&2; fail "$what failed"; }
}

command -v dpkg-query >/dev/null || fail "this machine is not Debian; install by hand $why: $packages"
missing=
for package in $packages; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -z "$only_tell" ] || { echo $missing; exit; }
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || fail "Debian packages are missing $why:$missing
setup: run this as root, or: sudo apt-get install --no-install-recommends$missing"
  echo "setup: installing Debian packages $why:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # Daemons that come with a package must not start on this machine's own network.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f "$log" $policy' EXIT
    trap 'exit 1' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  # An archive that cannot be reached need not be the one that has the packages: apt-get install is the judge.
  quietly "apt-get install" sh -c 'apt-get -q update; apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"' - $missing
fi

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  command -v npm >/dev/null || fail "npm is missing: install nodejs and npm"
  echo "setup: installing npm packages"
  # The native module's own install script would fetch headers from the network; our postinstall has those of the pinned Node.
  quietly "npm ci" sh -c 'npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run postinstall'
  touch node_modules/.package-lock.json
fi
[ packages/udp/build/udp.node -nt packages/udp/src/udp.cc ] || quietly "compiling packages/udp" sh packages/udp/build.sh
