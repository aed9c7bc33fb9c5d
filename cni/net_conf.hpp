#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/error.hpp"
#include "cni/prev_result.hpp"
#include "ipam/local/protocol.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

/// What a runtime hands to the plugin: environment and standard input -> checked values. Pure.
namespace manul::cni {

/// Oldest first.
inline constexpr std::array<std::string_view, 4> kSupportedVersions{"0.3.1", "0.4.0", "1.0.0", "1.1.0"};

[[nodiscard]] bool is_supported(std::string_view version);
/// Both must be supported.
[[nodiscard]] bool is_older(std::string_view version, std::string_view than);

enum class Verb : std::uint8_t { add, del, check, gc, status, version };
/// The verb that CNI_COMMAND names; nothing when it names none.
[[nodiscard]] std::optional<Verb> parse_verb(std::string_view command);

/// CNI_* as they are.
struct Environment {
    std::string command;
    std::string container_id;
    std::string netns;
    std::string ifname;
    std::string args;
    bool netns_override = false;  ///< CNI_NETNS_OVERRIDE: the pod may be in the plugin's own namespace

    [[nodiscard]] static Environment of_process();
};

/// Name resolution of the pod: handed back in the result, for the runtime to set up.
struct Dns {
    std::vector<std::string> nameservers;
    std::string domain;
    std::vector<std::string> search;
    std::vector<std::string> options;

    bool operator==(const Dns&) const = default;
};

/// How long the plugin waits for ipamd. Not configurable: runtimes give up after a minute or more, and retry.
struct Limits {
    std::chrono::milliseconds connect{5'000};  ///< ADD, for an ipamd that is restarting; the other verbs do not wait
    std::chrono::milliseconds answer{20'000};  ///< from the start
    std::chrono::milliseconds release{5'000};  ///< DEL: then the journal is as good
};

struct NetConf {
    Limits limits;
    std::string cni_version;
    std::string name;
    std::string run_dir = "/run/manul";
    std::string state_dir = "/var/lib/manul";
    std::uint32_t mtu = 0;                    ///< 0 = what ipamd says, else the kernel's
    std::chrono::seconds policy_timeout{10};  ///< 0 = do not wait for policy
    bool allow_ip_forwarding = false;
    bool assign_ipv4 = true;
    bool assign_ipv6 = false;
    std::string ipam_type;
    std::vector<std::string> ipv4_pools;
    std::vector<std::string> ipv6_pools;
    bool allow_addresses_without_ipam = false;  ///< feature_control.ip_addrs_no_ipam
    bool allow_floating_addresses = false;      ///< feature_control.floating_ips
    Dns dns;                                    ///< of the configuration, or by capability

    std::vector<net::Ip> ips;  ///< asked for by capability or by args.cni
    std::optional<net::Mac> mac;
    std::map<std::string, std::string> labels;
    std::map<std::string, std::string> annotations;
    std::vector<ipam::PortMapping> port_mappings;
    std::optional<ipam::Bandwidth> bandwidth;

    std::optional<PrevResult> prev_result;                           ///< CHECK; ADD behind another plugin
    std::optional<std::vector<ipam::Attachment>> valid_attachments;  ///< GC; nothing: the runtime does not say
};

/// The version alone, empty when there is none: VERSION and errors are answered in it. Code 6 as below.
[[nodiscard]] CniResult<std::string> read_version(std::string_view input);
/// Code 6 when the input is no JSON object, 1 for a version that is not supported or too old for the verb, 7 for
/// anything else. For DEL only the fields that identify the attachment are read: a setting that has become invalid must
/// not keep a pod from being deleted.
[[nodiscard]] CniResult<NetConf> parse_net_conf(std::string_view input, Verb verb);

/// Parses `K=V;K=V`. Code 4 for anything that is not a pair.
[[nodiscard]] CniResult<std::map<std::string, std::string>> parse_args(std::string_view args);
/// Code 4 names the unknown keys, unless `IgnoreUnknown` permits them.
[[nodiscard]] CniResult<void> check_args(const std::map<std::string, std::string>& args);
/// CNI_CONTAINERID, CNI_IFNAME and, when `netns_needed`, CNI_NETNS. Code 4 names the variables.
[[nodiscard]] CniResult<void> check_attachment(const Environment& environment, bool netns_needed);

/// The request to ipamd that says all this. CNI_ARGS `IP=` and `MAC=` count where the configuration has none. A
/// deletion takes from CNI_ARGS what can be read.
[[nodiscard]] CniResult<ipam::Request> make_request(ipam::Op op, const Environment& environment, const NetConf& conf);

}  // namespace manul::cni
