// A NETCONF server (RFC 6241) over libnetconf2: UNIX sockets, SSH (RFC 6242), TLS (RFC 7589) and
// call home (RFC 8071); sessions, requests, notifications. The only room that sees libnetconf2.
//
// One in a process at a time, because the library has one. Each connection has a thread of its own
// from the first octet on, and each session another one, so that one that is slow, or sends
// rubbish, delays nobody else. All public functions are thread-safe. Threads begin in Start():
// block signals before.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/base/netconf/handler.h"
#include "services/base/netconf/message.h"
#include "services/base/netconf/redial.h"
#include "services/base/yang/context.h"

namespace portolan::netconf {

struct UnixEndpoint {
  std::string path;   // at most 107 bytes; a socket that is there is replaced
  std::string group;  // whose members may connect beside the owner; empty: nobody
  friend bool operator==(const UnixEndpoint&, const UnixEndpoint&) = default;
};

struct TcpEndpoint {
  Transport transport = Transport::kSsh;  // or kTls
  std::string name;                       // unique among those of its transport
  std::string address;
  uint16_t port = 0;
  friend bool operator==(const TcpEndpoint&, const TcpEndpoint&) = default;
};

// One entry of cert-to-name (RFC 7407).
struct CertificateMap {
  enum class Type : uint8_t { kSpecified, kSanMail, kSanDns, kSanAddress, kSanAny, kCommonName };

  std::string fingerprint;  // "04:a0:...", of the certificate or of one that it was verified with
  Type type = Type::kSpecified;
  std::string name;  // with kSpecified
  friend bool operator==(const CertificateMap&, const CertificateMap&) = default;
};

// Paths of PEM files; they are read for each connection.
struct TlsIdentity {
  std::string certificate_path;
  std::string private_key_path;
  std::vector<std::string> trusted_paths;  // of CAs, or of clients themselves
  std::vector<CertificateMap> maps;        // the first that fits and finds a name counts
  friend bool operator==(const TlsIdentity&, const TlsIdentity&) = default;
};

// Whom to call, at one of these in turn.
struct CallHomeClient {
  std::vector<TcpEndpoint> endpoints;  // at least one
  CallHomePlan plan;                   // of as many
  absl::Duration max_wait;             // for a connection
  absl::Duration idle_timeout;         // of its sessions; zero: none
  friend bool operator==(const CallHomeClient&, const CallHomeClient&) = default;
};

struct Limits {
  absl::Duration hello_timeout = absl::Seconds(60);
  absl::Duration idle_timeout = absl::ZeroDuration();  // zero: none
  uint32_t max_sessions = 512;
  size_t max_message = 64 << 20;  // octets
};

class Server {
 public:
  // `context` must hold ietf-netconf; its features are what hello says. FAILED_PRECONDITION: there
  // is a server in this process already.
  static absl::StatusOr<std::unique_ptr<Server>> Start(std::shared_ptr<const yang::Context> context,
                                                       Handler* handler, const Limits& limits);
  // Ends all sessions and threads.
  virtual ~Server() = default;

  virtual void SetLimits(const Limits& limits) = 0;
  // What connections over SSH and TLS begin with, from the next one on. Without one of them those
  // are refused.
  virtual void SetHostKey(const std::string& path) = 0;
  // Errors name the file and the remedy; then it is set all the same, and what is put right in the
  // file counts at the next connection.
  virtual absl::Status SetTls(const TlsIdentity& identity) = 0;

  // Errors name the endpoint, what stands in the way and the remedy.
  virtual absl::Status AddUnix(const UnixEndpoint& endpoint) = 0;
  virtual void RemoveUnix(const std::string& path) = 0;
  virtual absl::Status AddTcp(const TcpEndpoint& endpoint) = 0;
  // Sessions that are open stay.
  virtual void RemoveTcp(Transport transport, const std::string& name) = 0;

  // Calls these and no others from now on; the handler hears how it goes. Sessions that are open
  // stay.
  virtual void SetCallHome(const std::map<std::string, CallHomeClient>& clients) = 0;

  // False: there is no such session. Its transport is cut, whatever it is doing.
  virtual bool Kill(uint32_t session, uint32_t killer) = 0;

  // `xml`: the notification's own element. It is sent when the session's thread comes to it; a
  // session with 10,000 that wait is ended. INVALID_ARGUMENT: `xml` does not fit the modules.
  virtual absl::Status Notify(uint32_t session, absl::Time time, const std::string& xml) = 0;

  virtual std::vector<std::pair<SessionInfo, Counters>> Sessions() = 0;
  virtual Totals totals() = 0;
  // The URIs of hello.
  virtual std::vector<std::string> Capabilities() = 0;
};

}  // namespace portolan::netconf
