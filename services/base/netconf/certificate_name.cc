#include "services/base/netconf/certificate_name.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace portolan::netconf {
namespace {

// The first octet of a fingerprint (RFC 5246, section 7.4.1.4.1).
const EVP_MD* DigestOf(absl::string_view id) {
  if (id == "02") return EVP_sha1();
  if (id == "03") return EVP_sha224();
  if (id == "04") return EVP_sha256();
  if (id == "05") return EVP_sha384();
  return id == "06" ? EVP_sha512() : nullptr;
}

bool HasFingerprint(X509* certificate, const std::string& fingerprint) {
  const std::string hex = absl::AsciiStrToLower(absl::StrReplaceAll(fingerprint, {{":", ""}}));
  const EVP_MD* const digest = DigestOf(absl::string_view(hex).substr(0, 2));
  if (digest == nullptr) return false;
  std::array<unsigned char, EVP_MAX_MD_SIZE> octets;
  unsigned int size = 0;
  if (X509_digest(certificate, digest, octets.data(), &size) != 1) return false;
  const absl::string_view own(reinterpret_cast<const char*>(octets.data()), size);
  return absl::BytesToHexString(own) == hex.substr(2);
}

// An octet that is no character of a name ends no name early: it makes it none.
std::optional<std::string> Text(const ASN1_STRING* value) {
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, value);
  if (size < 0) return std::nullopt;
  std::string text(reinterpret_cast<const char*>(utf8), size);
  OPENSSL_free(utf8);
  for (const char octet : text) {
    if (absl::ascii_iscntrl(octet)) return std::nullopt;
  }
  if (text.empty() || text.size() > 255) return std::nullopt;
  return text;
}

std::optional<std::string> CommonName(X509* certificate) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return std::nullopt;
  return Text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

// The domain of a mail address counts without case (RFC 7407, san-rfc822-name).
std::optional<std::string> MailName(const GENERAL_NAME* name) {
  if (name->type != GEN_EMAIL) return std::nullopt;
  std::optional<std::string> text = Text(name->d.rfc822Name);
  if (!text.has_value()) return std::nullopt;
  const size_t at = text->rfind('@');
  if (at == std::string::npos) return text;
  return absl::StrCat(text->substr(0, at), absl::AsciiStrToLower(text->substr(at)));
}

std::optional<std::string> DnsName(const GENERAL_NAME* name) {
  if (name->type != GEN_DNS) return std::nullopt;
  std::optional<std::string> text = Text(name->d.dNSName);
  if (text.has_value()) absl::AsciiStrToLower(&*text);
  return text;
}

// IPv4 dotted, IPv6 as 32 hexadecimal digits (RFC 7407, san-ip-address).
std::optional<std::string> AddressName(const GENERAL_NAME* name) {
  if (name->type != GEN_IPADD) return std::nullopt;
  const unsigned char* const octets = ASN1_STRING_get0_data(name->d.iPAddress);
  const int size = ASN1_STRING_length(name->d.iPAddress);
  if (size == 4) {
    return absl::StrCat(static_cast<int>(octets[0]), ".", static_cast<int>(octets[1]), ".",
                        static_cast<int>(octets[2]), ".", static_cast<int>(octets[3]));
  }
  if (size != 16) return std::nullopt;
  return absl::BytesToHexString({reinterpret_cast<const char*>(octets), 16});
}

std::optional<std::string> AlternativeName(X509* certificate, CertificateMap::Type type) {
  using Type = CertificateMap::Type;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  if (names == nullptr) return std::nullopt;
  const bool any = type == Type::kSanAny;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    std::optional<std::string> text;
    if (any || type == Type::kSanMail) text = MailName(name);
    if (!text.has_value() && (any || type == Type::kSanDns)) text = DnsName(name);
    if (!text.has_value() && (any || type == Type::kSanAddress)) text = AddressName(name);
    if (text.has_value()) return text;
  }
  return std::nullopt;
}

std::optional<std::string> Map(X509* certificate, const CertificateMap& map) {
  switch (map.type) {
    case CertificateMap::Type::kSpecified:
      return map.name;
    case CertificateMap::Type::kCommonName:
      return CommonName(certificate);
    default:
      return AlternativeName(certificate, map.type);
  }
}

}  // namespace

std::optional<std::string> NameOf(const std::vector<X509*>& chain,
                                  const std::vector<CertificateMap>& maps) {
  if (chain.empty()) return std::nullopt;
  for (const CertificateMap& map : maps) {
    for (X509* const certificate : chain) {
      if (!HasFingerprint(certificate, map.fingerprint)) continue;
      // The name is always that of the peer's own certificate.
      if (std::optional<std::string> name = Map(chain.front(), map)) return name;
      break;
    }
  }
  return std::nullopt;
}

}  // namespace portolan::netconf
