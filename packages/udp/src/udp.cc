// UDP sockets of IPv6 that take and give many datagrams with one call of the kernel: recvmmsg and sendmmsg behind Node-API.
// Nothing is decided here; index.ts says what it is for. Memory that datagrams pass through is JavaScript's, one of each for a thread.
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <node_api.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <mutex>
#include <vector>

namespace {

constexpr unsigned MAX_BATCH = 64;
// So many batches at most for one turn of the event loop: timers and other sockets are due as well.
constexpr unsigned BATCHES = 4;

// Beside the bytes of each datagram: its peer's address, and three numbers.
struct Exchange {
  uint8_t* bytes;      // MAX_BATCH slots of `slotBytes` each
  uint8_t* addresses;  // 16 bytes each
  int32_t* numbers;    // length, port, scope of each; sending: the length becomes the error's number, 0 where it was sent
  size_t slotBytes;
};

struct Socket {
  uv_poll_t poll;
  int fd;
  napi_env env;
  napi_ref receiver;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  Exchange exchange;
};

// The one datagram that another thread sends. Its socket is closed under the lock.
struct {
  std::mutex lock;
  Socket* socket;
  sockaddr_in6 peer;
  std::vector<uint8_t> bytes;
  bool left;
} prepared;

napi_value Undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

napi_value Throw(napi_env env, const char* what) {
  const int number = errno;
  napi_value error, message, code;
  napi_create_string_utf8(env, uv_err_name(-number), NAPI_AUTO_LENGTH, &code);
  char text[128];
  snprintf(text, sizeof text, "%s %s", what, uv_err_name(-number));
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &error);
  napi_throw(env, error);
  return nullptr;
}

template <size_t n>
bool Arguments(napi_env env, napi_callback_info info, napi_value (&values)[n]) {
  size_t count = n;
  if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) == napi_ok && count == n) return true;
  napi_throw_type_error(env, nullptr, "wrong number of arguments");
  return false;
}

int32_t Number(napi_env env, napi_value value) {
  int32_t number = 0;
  napi_get_value_int32(env, value, &number);
  return number;
}

template <typename T>
T* Array(napi_env env, napi_value value, size_t* length = nullptr) {
  void* data = nullptr;
  size_t count = 0;
  napi_get_typedarray_info(env, value, nullptr, &count, &data, nullptr, nullptr);
  if (length) *length = count;
  return static_cast<T*>(data);
}

Socket* Of(napi_env env, napi_value value) {
  void* socket = nullptr;
  napi_get_value_external(env, value, &socket);
  return static_cast<Socket*>(socket);
}

sockaddr_in6 Peer(const uint8_t* address, int32_t port, int32_t scope) {
  sockaddr_in6 peer = {};
  peer.sin6_family = AF_INET6;
  peer.sin6_port = htons(static_cast<uint16_t>(port));
  peer.sin6_scope_id = static_cast<uint32_t>(scope);
  memcpy(&peer.sin6_addr, address, 16);
  return peer;
}

void Tell(Socket* socket, int count) {
  napi_env env = socket->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value global, receiver, argument, result;
  napi_get_global(env, &global);
  napi_get_reference_value(env, socket->receiver, &receiver);
  napi_create_int32(env, count, &argument);
  if (napi_make_callback(env, socket->context, global, receiver, 1, &argument, &result) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

void Readable(uv_poll_t* poll, int status, int) {
  auto* socket = static_cast<Socket*>(poll->data);
  if (status < 0) {
    // libuv looks no more at a socket that has an error; asking for it takes it off.
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    uv_poll_start(poll, UV_READABLE, Readable);
    return Tell(socket, error ? -error : status);
  }
  Exchange& to = socket->exchange;
  mmsghdr messages[MAX_BATCH];
  iovec vectors[MAX_BATCH];
  sockaddr_in6 peers[MAX_BATCH];
  for (unsigned batch = 0; batch < BATCHES && socket->fd >= 0; batch++) {
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < MAX_BATCH; i++) {
      vectors[i] = {to.bytes + i * to.slotBytes, to.slotBytes};
      messages[i].msg_hdr.msg_name = &peers[i];
      messages[i].msg_hdr.msg_namelen = sizeof peers[i];
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int count = recvmmsg(socket->fd, messages, MAX_BATCH, MSG_DONTWAIT, nullptr);
    if (count < 0) {
      if (errno != EAGAIN && errno != EINTR) Tell(socket, -errno);
      return;
    }
    for (int i = 0; i < count; i++) {
      memcpy(to.addresses + i * 16, &peers[i].sin6_addr, 16);
      to.numbers[i * 3] = static_cast<int32_t>(messages[i].msg_len);
      to.numbers[i * 3 + 1] = ntohs(peers[i].sin6_port);
      to.numbers[i * 3 + 2] = static_cast<int32_t>(peers[i].sin6_scope_id);
    }
    Tell(socket, count);
    if (count < static_cast<int>(MAX_BATCH)) return;
  }
}

void Closed(uv_handle_t* handle) {
  auto* socket = static_cast<Socket*>(handle->data);
  napi_delete_reference(socket->env, socket->receiver);
  napi_async_destroy(socket->env, socket->context);
  napi_remove_async_cleanup_hook(socket->cleanup);
  delete socket;
}

void CloseNow(Socket* socket) {
  if (socket->fd < 0) return;
  uv_poll_stop(&socket->poll);
  {
    std::lock_guard<std::mutex> locked(prepared.lock);
    close(socket->fd);
    socket->fd = -1;
    if (prepared.socket == socket) prepared.socket = nullptr;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&socket->poll), Closed);
}

void CleanUp(napi_async_cleanup_hook_handle, void* data) { CloseNow(static_cast<Socket*>(data)); }

// open(address, scope, port, receiveBufferBytes, shared, bytes, addresses, numbers, receiver): `receiver` is called with the number of datagrams
// that lie in the three arrays, or with the number of an error below zero.
napi_value Open(napi_env env, napi_callback_info info) {
  napi_value values[9];
  if (!Arguments(env, info, values)) return nullptr;
  const sockaddr_in6 own = Peer(Array<uint8_t>(env, values[0]), Number(env, values[2]), Number(env, values[1]));
  const int buffer = Number(env, values[3]), on = 1;
  const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Throw(env, "socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  bool shared = false;
  napi_get_value_bool(env, values[4], &shared);
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) < 0) {
    Throw(env, "bind");
    close(fd);
    return nullptr;
  }
  auto* made = new Socket();
  made->env = env;
  made->fd = fd;
  size_t room;
  made->exchange.bytes = Array<uint8_t>(env, values[5], &room);
  made->exchange.addresses = Array<uint8_t>(env, values[6]);
  made->exchange.numbers = Array<int32_t>(env, values[7]);
  made->exchange.slotBytes = room / MAX_BATCH;
  napi_value name, result;
  napi_create_string_utf8(env, "netboot6:udp", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, nullptr, name, &made->context);
  napi_create_reference(env, values[8], 1, &made->receiver);
  napi_add_async_cleanup_hook(env, CleanUp, made, &made->cleanup);
  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  made->poll.data = made;
  uv_poll_init(loop, &made->poll, fd);
  uv_poll_start(&made->poll, UV_READABLE, Readable);
  napi_create_external(env, made, nullptr, nullptr, &result);
  return result;
}

// join(socket, group, interface)
napi_value Join(napi_env env, napi_callback_info info) {
  napi_value values[3];
  if (!Arguments(env, info, values)) return nullptr;
  ipv6_mreq membership = {};
  memcpy(&membership.ipv6mr_multiaddr, Array<uint8_t>(env, values[1]), 16);
  membership.ipv6mr_interface = static_cast<unsigned>(Number(env, values[2]));
  if (setsockopt(Of(env, values[0])->fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &membership, sizeof membership) < 0) return Throw(env, "join");
  return Undefined(env);
}

// send(socket, bytes, addresses, numbers, count): one after another in `bytes`; how many were not sent
napi_value Send(napi_env env, napi_callback_info info) {
  napi_value values[5];
  if (!Arguments(env, info, values)) return nullptr;
  Socket* socket = Of(env, values[0]);
  uint8_t* bytes = Array<uint8_t>(env, values[1]);
  const uint8_t* addresses = Array<uint8_t>(env, values[2]);
  int32_t* numbers = Array<int32_t>(env, values[3]);
  const int count = Number(env, values[4]);
  mmsghdr messages[MAX_BATCH];
  iovec vectors[MAX_BATCH];
  sockaddr_in6 peers[MAX_BATCH];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < count; i++) {
    peers[i] = Peer(addresses + i * 16, numbers[i * 3 + 1], numbers[i * 3 + 2]);
    vectors[i] = {bytes, static_cast<size_t>(numbers[i * 3])};
    bytes += numbers[i * 3];
    numbers[i * 3] = 0;
    messages[i].msg_hdr.msg_name = &peers[i];
    messages[i].msg_hdr.msg_namelen = sizeof peers[i];
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  int failed = 0;
  for (int i = 0; i < count;) {
    const int sent = sendmmsg(socket->fd, messages + i, static_cast<unsigned>(count - i), MSG_DONTWAIT);
    if (sent > 0) {
      i += sent;
    } else if (errno != EINTR) {
      numbers[i * 3] = errno;
      failed++;
      i++;
    }
  }
  napi_value result;
  napi_create_int32(env, failed, &result);
  return result;
}

// prepare(socket, bytes, address, port, scope)
napi_value Prepare(napi_env env, napi_callback_info info) {
  napi_value values[5];
  if (!Arguments(env, info, values)) return nullptr;
  size_t length;
  const uint8_t* bytes = Array<uint8_t>(env, values[1], &length);
  std::lock_guard<std::mutex> locked(prepared.lock);
  prepared.socket = Of(env, values[0]);
  prepared.peer = Peer(Array<uint8_t>(env, values[2]), Number(env, values[3]), Number(env, values[4]));
  prepared.bytes.assign(bytes, bytes + length);
  prepared.left = false;
  return Undefined(env);
}

// sendPrepared(): by whichever thread
napi_value SendPrepared(napi_env env, napi_callback_info) {
  std::lock_guard<std::mutex> locked(prepared.lock);
  if (prepared.socket) {
    const auto* peer = reinterpret_cast<const sockaddr*>(&prepared.peer);
    const ssize_t sent = sendto(prepared.socket->fd, prepared.bytes.data(), prepared.bytes.size(), MSG_DONTWAIT, peer, sizeof prepared.peer);
    prepared.left = sent >= 0;
    prepared.socket = nullptr;
  }
  return Undefined(env);
}

// hasPreparedLeft()
napi_value HasPreparedLeft(napi_env env, napi_callback_info) {
  std::lock_guard<std::mutex> locked(prepared.lock);
  napi_value result;
  napi_get_boolean(env, prepared.left, &result);
  return result;
}

napi_value Close(napi_env env, napi_callback_info info) {
  napi_value values[1];
  if (!Arguments(env, info, values)) return nullptr;
  CloseNow(Of(env, values[0]));
  return Undefined(env);
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback call;
  } functions[] = {{"open", Open},       {"join", Join},
                   {"send", Send},       {"prepare", Prepare},
                   {"close", Close},     {"sendPrepared", SendPrepared},
                   {"hasPreparedLeft", HasPreparedLeft}};
  for (const auto& each : functions) {
    napi_value function;
    napi_create_function(env, each.name, NAPI_AUTO_LENGTH, each.call, nullptr, &function);
    napi_set_named_property(env, exports, each.name, function);
  }
  return exports;
}
