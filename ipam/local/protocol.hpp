#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "base/error.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

/// What the CNI plugin and manul-ipamd say to each other over `<run_dir>/cni.sock`: a stream socket, one request per
/// connection, each side 4 bytes of length (big endian) and that many bytes of JSON, at most kMaxMessage. The address
/// side of a pod is ipamd's work, the network side (links, addresses in the kernel, neighbours) the plugin's.
namespace manul::ipam {

inline constexpr std::size_t kMaxMessage = std::size_t{1} << 20U;
inline constexpr int kProtocolVersion = 1;

enum class Op : std::uint8_t {
    add,     ///< reserve addresses and write the endpoint, then answer
    del,     ///< make the release durable, then answer; link, endpoint and addresses go in the background
    check,   ///< is everything that `add` wrote still there?
    gc,      ///< as `del` for every attachment of this network that `valid_attachments` does not name
    status,  ///< could `add` work now?
};

/// One interface of one container.
struct Attachment {
    std::string container_id;
    std::string ifname;

    auto operator<=>(const Attachment&) const = default;
};

struct PortMapping {
    std::uint16_t host_port = 0;
    std::uint16_t container_port = 0;
    std::string protocol = "tcp";  ///< lower case
    std::optional<net::Ip> host_ip;

    bool operator==(const PortMapping&) const = default;
};

/// Bits a second and bits; 0 = no limit. Ingress is towards the pod.
struct Bandwidth {
    std::uint64_t ingress_rate = 0;
    std::uint64_t ingress_burst = 0;
    std::uint64_t egress_rate = 0;
    std::uint64_t egress_burst = 0;

    bool operator==(const Bandwidth&) const = default;
};

struct Request {
    Op op = Op::status;
    std::string network;                             ///< name of the network configuration
    std::string cni_version;                         ///< of the request that the plugin got
    Attachment attachment;                           ///< empty for gc and status
    std::string netns;                               ///< path as the runtime gave it; often empty in del
    std::uint64_t netns_inode = 0;                   ///< identity of the namespace, 0 = unknown
    std::map<std::string, std::string> args;         ///< CNI_ARGS without IgnoreUnknown: K8S_POD_NAMESPACE, ...
    std::map<std::string, std::string> labels;       ///< args.cni.labels
    std::map<std::string, std::string> annotations;  ///< of the pod, when the runtime passes them

    std::vector<net::Ip> ips;  ///< asked for by name; empty = any. In check: those that the runtime remembers
    bool assign_ipv4 = true;
    bool assign_ipv6 = false;
    std::vector<std::string> ipv4_pools;  ///< names or CIDRs; empty = any that the node may use
    std::vector<std::string> ipv6_pools;
    // Annotations that count only where the network's configuration allows them (feature_control).
    bool allow_addresses_without_ipam = false;
    bool allow_floating_addresses = false;

    std::string host_interface;      ///< name of the host end, worked out by the plugin
    std::uint32_t host_ifindex = 0;  ///< 0 = not known
    std::optional<net::Mac> mac;     ///< of the pod end, chosen by the plugin
    std::vector<PortMapping> port_mappings;
    std::optional<Bandwidth> bandwidth;
    /// Another plugin made the pod's link and gave it `ips`: only the endpoint is wanted, so that policy holds.
    bool policy_only = false;
    std::vector<Attachment> valid_attachments;  ///< gc

    bool operator==(const Request&) const = default;

    /// Both K8S_POD_NAMESPACE and K8S_POD_NAME are given: the pod is Kubernetes'. Otherwise it is a bare container.
    [[nodiscard]] bool is_kubernetes() const;
    [[nodiscard]] std::string_view arg(std::string_view key) const;  ///< empty when absent
};

/// Name of the host end of the attachment's link, the same for every sandbox of one Kubernetes pod: "cali" and 11
/// digits of a SHA-1, as Calico names it.
[[nodiscard]] std::string host_interface_name(const Request& request);

/// File in `<state_dir>/cni-journal/` in which the plugin leaves the release of this attachment while ipamd is away:
/// the same one however often it is released.
[[nodiscard]] std::string journal_name(const Request& request);

/// CNI error codes that ipamd uses; the plugin passes them on.
enum class ErrorCode : std::uint16_t {
    unsupported_field = 2,
    unknown_container = 3,  ///< check of an attachment that ipamd does not know
    io_failure = 5,
    cannot_decode = 6,
    invalid_config = 7,
    try_again = 11,
    not_available = 50,         ///< status: add would fail
    limited_connectivity = 51,  ///< status: add would fail, and existing pods may be impaired
    check_failed = 100,         ///< check: something that add wrote is missing or different
    internal = 999,
};

struct Failure {
    std::uint16_t code = 0;
    std::string msg;       ///< carries the reason on its own: runtimes show it first
    std::string details;   ///< what to do about it
    bool no_room = false;  ///< an address that becomes free may help; not told to the plugin

    bool operator==(const Failure&) const = default;
};

struct Answer {
    std::optional<Failure> error;  ///< set: the request failed and changed nothing

    std::vector<net::Ip> ips;         ///< each is a single address (/32, /128) of the pod
    std::vector<net::Prefix> routes;  ///< what the pod reaches through its gateway; empty = everything, per family
    std::string host_interface;       ///< as stored in the endpoint
    std::uint32_t mtu = 0;            ///< of this node's pods, where the configuration does not say; 0 = the kernel's
    std::optional<net::Mac> mac;      ///< the pod's end must have this one, whatever the plugin chose
    bool policy_only = false;         ///< check: the link is another plugin's
    bool ending = false;              ///< check: refused because a DEL of this attachment is being carried out
    std::string endpoint;             ///< `<namespace>/<name>` of the WorkloadEndpoint
    std::string resource_version;     ///< of the endpoint
    std::string warning;              ///< to the plugin's standard error

    bool operator==(const Answer&) const = default;
};

inline Answer to_answer(Failure why) {
    Answer answer;
    answer.error = std::move(why);
    return answer;
}

[[nodiscard]] Answer failure(ErrorCode code, std::string msg, std::string details = {});

[[nodiscard]] std::string encode(const Request& request);
[[nodiscard]] std::string encode(const Answer& answer);
[[nodiscard]] boost::json::object to_json(const Answer& answer);
/// JSON text without the length in front. Unknown keys are skipped; an error names the key that is wrong.
[[nodiscard]] Result<Request> decode_request(std::string_view json);
[[nodiscard]] Result<Request> decode_request(const boost::json::object& document);
[[nodiscard]] Result<Answer> decode_answer(std::string_view json);

}  // namespace manul::ipam
