#!/bin/sh
# Compiles the addon against the headers of the pinned Node; run by `npm ci`.
set -eu
cd "$(dirname "$0")"
set -- ../../node_modules/node-linux-*/include/node
mkdir -p build
g++ -std=c++17 -O2 -Wall -Wextra -fPIC -fvisibility=hidden -shared -I "$1" -o build/udp.node src/udp.cc
