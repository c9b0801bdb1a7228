#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/base/netconf/certificate_name.h"
#include "services/base/netconf/transport.h"
#include "services/base/status/status_macros.h"

namespace portolan::netconf {
namespace {

constexpr absl::Duration kHandshakeTimeout = absl::Seconds(20);

using Settings = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Connection = std::unique_ptr<SSL, decltype(&SSL_free)>;

// What OpenSSL says went wrong; its list is empty afterwards.
std::string Reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  // The error of a call of the system has no text of its own.
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* const text = ERR_reason_error_string(code);
  return text == nullptr ? "it does not say why" : text;
}

absl::Status Unusable(const char* what, const std::string& path, const char* remedy) {
  return absl::FailedPreconditionError(
      absl::StrCat("the ", what, " ", path, " cannot be used: ", Reason(), "; ", remedy));
}

absl::StatusOr<Settings> Load(const TlsIdentity& identity) {
  ERR_clear_error();
  Settings settings(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (settings == nullptr) return absl::ResourceExhaustedError("no memory for a TLS connection");
  SSL_CTX* const context = settings.get();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Each connection shows its certificate.
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context, identity.certificate_path.c_str()) != 1) {
    return Unusable("certificate", identity.certificate_path,
                    "put the server's certificate there in PEM form, with its chain behind it");
  }
  if (SSL_CTX_use_PrivateKey_file(context, identity.private_key_path.c_str(), SSL_FILETYPE_PEM) !=
          1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return Unusable("private key", identity.private_key_path,
                    "put the key of the server's certificate there in PEM form, without a "
                    "passphrase and readable for Portolan");
  }
  // Who is trusted may be the client itself, too (RFC 7589, section 5).
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  // Clients are told whose certificates are asked for.
  STACK_OF(X509_NAME)* const names = sk_X509_NAME_new_null();
  SSL_CTX_set_client_CA_list(context, names);
  for (const std::string& path : identity.trusted_paths) {
    if (SSL_CTX_load_verify_locations(context, path.c_str(), nullptr) != 1 ||
        SSL_add_file_cert_subjects_to_stack(names, path.c_str()) != 1) {
      return Unusable("file of trusted certificates", path, "put certificates there in PEM form");
    }
  }
  return settings;
}

class TlsStream : public Stream {
 public:
  explicit TlsStream(SSL* ssl) : ssl_(ssl) {}
  ssize_t Read(char* to, size_t size) override {
    ERR_clear_error();
    const int count = SSL_read(ssl_, to, static_cast<int>(size));
    if (count > 0) return count;
    return SSL_get_error(ssl_, count) == SSL_ERROR_ZERO_RETURN ? kEnd : Blocked(count);
  }
  ssize_t Write(absl::string_view octets) override {
    ERR_clear_error();
    const int count = SSL_write(ssl_, octets.data(), static_cast<int>(octets.size()));
    return count > 0 ? count : Blocked(count);
  }
  bool has_more() const override { return SSL_pending(ssl_) > 0; }

 private:
  ssize_t Blocked(int result) const {
    const int error = SSL_get_error(ssl_, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? kNothing : kBroken;
  }

  SSL* const ssl_;
};

absl::Status Shake(SSL* ssl, int fd) {
  const absl::Time deadline = absl::Now() + kHandshakeTimeout;
  for (;;) {
    ERR_clear_error();
    const int result = SSL_accept(ssl);
    if (result == 1) return absl::OkStatus();
    const int error = SSL_get_error(ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      const long verified = SSL_get_verify_result(ssl);
      return absl::UnauthenticatedError(
          verified == X509_V_OK ? Reason() : X509_verify_cert_error_string(verified));
    }
    const int left_ms = static_cast<int>(absl::ToInt64Milliseconds(deadline - absl::Now()));
    if (left_ms <= 0) return absl::DeadlineExceededError("it did not finish its TLS handshake");
    pollfd file = {fd, static_cast<short>(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
    poll(&file, 1, left_ms);
  }
}

absl::StatusOr<std::string> UserOf(SSL* ssl, const TlsIdentity& identity) {
  std::vector<X509*> chain;
  STACK_OF(X509)* const verified = SSL_get0_verified_chain(ssl);
  chain.reserve(std::max(sk_X509_num(verified), 0));
  for (int i = 0; i < sk_X509_num(verified); ++i) chain.push_back(sk_X509_value(verified, i));
  std::optional<std::string> name = NameOf(chain, identity.maps);
  if (name.has_value()) return *std::move(name);
  return absl::UnauthenticatedError("no entry of cert-to-name gives its certificate a name");
}

}  // namespace

absl::Status CheckTls(const TlsIdentity& identity) { return Load(identity).status(); }

absl::Status ServeTls(int fd, const TlsIdentity& identity, const std::string& host,
                      const Opener& open) {
  // Read for each connection, so that a renewed certificate counts at once.
  ASSIGN_OR_RETURN(const Settings settings, Load(identity));
  const Connection connection(SSL_new(settings.get()), &SSL_free);
  if (connection == nullptr) return absl::ResourceExhaustedError("no memory for a TLS connection");
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  SSL_set_fd(connection.get(), fd);
  RETURN_IF_ERROR(Shake(connection.get(), fd));
  absl::StatusOr<std::string> user = UserOf(connection.get(), identity);
  if (!user.ok()) {
    SSL_shutdown(connection.get());
    return user.status();
  }
  SessionInfo info;
  info.user = *std::move(user);
  info.transport = Transport::kTls;
  info.host = host;
  ASSIGN_OR_RETURN(Opened opened, open(info));
  TlsStream stream(connection.get());
  Carry(&stream, fd, std::move(opened));
  SSL_shutdown(connection.get());
  return absl::OkStatus();
}

}  // namespace portolan::netconf
