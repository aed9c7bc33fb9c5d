#include "cni/net_conf.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/error.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/ascii.hpp"
#include "base/json_fields.hpp"
#include "base/try.hpp"
#include "cni/error.hpp"
#include "cni/prev_result.hpp"
#include "ipam/local/protocol.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

namespace manul::cni {

namespace {

namespace json = boost::json;

constexpr std::size_t kMaxIfname = 15;        // IFNAMSIZ without its NUL
constexpr std::size_t kMaxContainerId = 255;  // IFALIASZ without its NUL: the host end carries it as its alias
constexpr std::size_t kMaxRunDir = 60;        // "<run_dir>/wait/<interface>" must fit into a socket address
constexpr std::uint32_t kMinMtu = 68;         // RFC 791
constexpr std::uint32_t kMinMtuIpv6 = 1280;   // RFC 8200 section 5
constexpr std::uint32_t kMaxMtu = 65535;
constexpr const char* kHwAddr = "cni.projectcalico.org/hwAddr";
constexpr std::string_view kUnicastMac = "a MAC address that one interface can have";

/// `[A-Za-z0-9][A-Za-z0-9_.-]*`, the alphabet of container ids and network names.
bool is_cni_name(std::string_view text) {
    return !text.empty() && ascii::is_alphanumeric(text.front()) && std::ranges::all_of(text, [](char c) {
        return ascii::is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
    });
}

/// What the kernel takes for a name, and for none to be completed (`eth%d`). Its blanks are those of Latin-1; `all` and
/// `default` are taken by its settings.
bool is_ifname(std::string_view text) {
    return !text.empty() && text.size() <= kMaxIfname && text != "." && text != ".." && text != "all" &&
           text != "default" && std::ranges::none_of(text, [](char c) {
               return c == '/' || c == ':' || c == '%' || c == ' ' || c == '\xa0' || (c >= '\t' && c <= '\r');
           });
}

std::string environment_variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

/// What a link can have as its address: not all zero, not for a group.
std::optional<net::Mac> parse_wanted_mac(std::string_view text) {
    const auto mac = net::Mac::parse(text);
    return mac && (mac->bytes()[0] & 1U) == 0 && *mac != net::Mac() ? mac : std::nullopt;
}

std::optional<net::Ip> parse_wanted_ip(std::string_view text) {
    const auto address = net::InterfaceAddress::parse(text);
    return address ? std::optional(address->address) : std::nullopt;
}

CniResult<json::object> parse_input(std::string_view input) {
    boost::system::error_code error;
    json::value document = json::parse(input, error);
    if (error) {
        return refuse(Code::cannot_decode, "network configuration is not JSON: " + error.message());
    }
    if (!document.is_object()) {
        return refuse(Code::cannot_decode, "network configuration is not a JSON object");
    }
    return std::move(document.get_object());
}

void read_capabilities(const JsonFields& fields, NetConf& out) {
    fields.read_texts("ips", out.ips, "an IP address", parse_wanted_ip);
    if (const json::value* mac = fields.find("mac"); mac != nullptr && *mac != "") {  // empty: Go's word for none
        fields.read_text("mac", out.mac, kUnicastMac, parse_wanted_mac);
    }
    fields.read("io.kubernetes.cri.pod-annotations", out.annotations);
    if (const auto wanted = out.annotations.find(kHwAddr); wanted != out.annotations.end() && !out.mac) {
        out.mac = parse_wanted_mac(wanted->second);
        if (!out.mac) {
            fields.wrong("io.kubernetes.cri.pod-annotations." + wanted->first, json::value(wanted->second),
                         kUnicastMac);
        }
    }
    // What the pod asks for counts more than what the configuration says, item by item.
    fields.read_object("dns", [&out](const JsonFields& dns) {
        const auto replace = [&dns](std::string_view key, std::vector<std::string>& list) {
            std::vector<std::string> wanted;
            dns.read(key, wanted);
            if (!wanted.empty()) {
                list = std::move(wanted);
            }
        };
        replace("servers", out.dns.nameservers);
        replace("searches", out.dns.search);
        replace("options", out.dns.options);
    });
    fields.read_objects("portMappings", [&out](const JsonFields& item) {
        ipam::PortMapping& mapping = out.port_mappings.emplace_back();
        item.read("hostPort", mapping.host_port);
        item.read("containerPort", mapping.container_port);
        item.read("protocol", mapping.protocol);
        mapping.protocol = ascii::lowered(mapping.protocol);
        std::string host_ip;
        item.read("hostIP", host_ip);
        if (!host_ip.empty()) {
            item.read_text("hostIP", mapping.host_ip, "an IP address", net::Ip::parse);
        }
    });
    fields.read_object("bandwidth", [&out](const JsonFields& inner) {
        ipam::Bandwidth& bandwidth = out.bandwidth.emplace();
        inner.read("ingressRate", bandwidth.ingress_rate);
        inner.read("ingressBurst", bandwidth.ingress_burst);
        inner.read("egressRate", bandwidth.egress_rate);
        inner.read("egressBurst", bandwidth.egress_burst);
    });
}

void read_convention_args(const JsonFields& fields, NetConf& out) {
    fields.read_object("cni", [&out](const JsonFields& cni) {
        if (out.ips.empty()) {  // a capability counts more than the convention
            cni.read_texts("ips", out.ips, "an IP address", parse_wanted_ip);
        }
        cni.read_objects("labels", [&out](const JsonFields& label) {
            std::string key;
            std::string value;
            label.read("key", key);
            label.read("value", value);
            out.labels.insert_or_assign(key, value);
        });
    });
}

/// An absent list stays absent: read as an empty one it would free every address of the network.
void read_valid_attachments(const JsonFields& fields, NetConf& out) {
    // The second key is a misspelling of the first release of the specification's library, which sends both. Its null
    // is a list without entries.
    for (const std::string_view key : {"cni.dev/valid-attachments", "cni.dev/attachments"}) {
        if (!fields.object().contains(key)) {
            continue;
        }
        auto& attachments = out.valid_attachments.emplace();
        fields.read_objects(key, [&attachments](const JsonFields& item) {
            ipam::Attachment& attachment = attachments.emplace_back();
            item.read("containerID", attachment.container_id);
            item.read("ifname", attachment.ifname);
            // Half of a name is nobody's: the attachment that is meant would be released.
            if (attachment.container_id.empty()) {
                item.wrong("containerID", nullptr, "that of an attachment");
            } else if (attachment.ifname.empty()) {
                item.wrong("ifname", nullptr, "that of an attachment");
            }
        });
        return;
    }
}

void read_settings(const JsonFields& fields, NetConf& out) {
    fields.read("mtu", out.mtu);
    auto timeout = static_cast<std::uint32_t>(out.policy_timeout.count());
    fields.read("policy_setup_timeout_seconds", timeout);
    out.policy_timeout = std::chrono::seconds(timeout);
    fields.read_object("container_settings", [&out](const JsonFields& settings) {
        settings.read("allow_ip_forwarding", out.allow_ip_forwarding);
    });
    fields.read_object("ipam", [&out](const JsonFields& ipam) {
        // Calico's own configurations write these two as text.
        const auto read_flag = [&ipam](std::string_view key, bool& flag) {
            const json::value* value = ipam.find(key);
            if (value != nullptr && (*value == "true" || *value == "false")) {
                flag = *value == "true";
            } else {
                ipam.read(key, flag);
            }
        };
        read_flag("assign_ipv4", out.assign_ipv4);
        read_flag("assign_ipv6", out.assign_ipv6);
        ipam.read("type", out.ipam_type);
        ipam.read("ipv4_pools", out.ipv4_pools);
        ipam.read("ipv6_pools", out.ipv6_pools);
    });
    fields.read_object("dns", [&out](const JsonFields& dns) {
        dns.read("nameservers", out.dns.nameservers);
        dns.read("domain", out.dns.domain);
        dns.read("search", out.dns.search);
        dns.read("options", out.dns.options);
    });
    fields.read_object("feature_control", [&out](const JsonFields& features) {
        features.read("ip_addrs_no_ipam", out.allow_addresses_without_ipam);
        features.read("floating_ips", out.allow_floating_addresses);
    });
    fields.read_object("runtimeConfig", [&out](const JsonFields& inner) { read_capabilities(inner, out); });
    fields.read_object("args", [&out](const JsonFields& inner) { read_convention_args(inner, out); });
}

CniResult<void> check_version(const std::string& version, Verb verb) {
    if (!is_supported(version)) {
        return refuse(
            Code::incompatible_version,
            version.empty() ? std::string("cniVersion is missing") : "cniVersion " + version + " is not supported",
            "supported: 0.3.1, 0.4.0, 1.0.0, 1.1.0");
    }
    if (verb == Verb::check && is_older(version, "0.4.0")) {
        return refuse(Code::incompatible_version, "CHECK came with CNI 0.4.0, the configuration has " + version);
    }
    if ((verb == Verb::gc || verb == Verb::status) && is_older(version, "1.1.0")) {
        return refuse(Code::incompatible_version,
                      "GC and STATUS came with CNI 1.1.0, the configuration has " + version);
    }
    return {};
}

/// What has the right type but no sense.
std::string meaningless(const NetConf& conf) {
    if (!is_cni_name(conf.name)) {
        return conf.name.empty() ? "name: is missing"
                                 : "name: \"" + conf.name +
                                       "\" must consist of letters, digits, '_', '.' and '-', and "
                                       "begin with a letter or digit";
    }
    if (conf.run_dir.empty() || conf.run_dir.front() != '/' || conf.run_dir.size() > kMaxRunDir) {
        return "run_dir: \"" + conf.run_dir + "\" must be an absolute path of at most 60 bytes";
    }
    if (conf.state_dir.empty() || conf.state_dir.front() != '/') {
        return "state_dir: \"" + conf.state_dir + "\" must be an absolute path";
    }
    const std::uint32_t least = conf.assign_ipv6 ? kMinMtuIpv6 : kMinMtu;
    if (conf.mtu != 0 && (conf.mtu < least || conf.mtu > kMaxMtu)) {
        return "mtu: " + std::to_string(conf.mtu) + " must be 0 or from " + std::to_string(least) + " to 65535";
    }
    if (!conf.assign_ipv4 && !conf.assign_ipv6) {
        return "ipam: assign_ipv4 and assign_ipv6 are both false";
    }
    for (const ipam::PortMapping& mapping : conf.port_mappings) {
        if (mapping.protocol != "tcp" && mapping.protocol != "udp" && mapping.protocol != "sctp") {
            return "runtimeConfig.portMappings: protocol \"" + mapping.protocol + "\" must be tcp, udp or sctp";
        }
        if (mapping.container_port == 0) {
            return "runtimeConfig.portMappings: containerPort is missing";
        }
    }
    return {};
}

/// Addresses come from manul-ipamd. Where the configuration names somebody else, pods must not get ours unnoticed.
std::string foreign_ipam(const std::string& type) {
    constexpr std::array<std::string_view, 4> kOwn{"", "manul", "manul-ipam", "calico-ipam"};
    return std::ranges::find(kOwn, type) != kOwn.end()
               ? std::string()
               : "ipam.type: \"" + type +
                     "\" is not run: addresses come from manul-ipamd and its IPPools. Leave it out, or have the plugin "
                     "that uses it in front of this one";
}

}  // namespace

std::optional<Verb> parse_verb(std::string_view command) {
    constexpr std::array<std::pair<std::string_view, Verb>, 6> kVerbs{{{"ADD", Verb::add},
                                                                       {"DEL", Verb::del},
                                                                       {"CHECK", Verb::check},
                                                                       {"GC", Verb::gc},
                                                                       {"STATUS", Verb::status},
                                                                       {"VERSION", Verb::version}}};
    for (const auto& [name, verb] : kVerbs) {
        if (name == command) {
            return verb;
        }
    }
    return std::nullopt;
}

bool is_supported(std::string_view version) {
    return std::ranges::find(kSupportedVersions, version) != kSupportedVersions.end();
}

bool is_older(std::string_view version, std::string_view than) {
    return std::ranges::find(kSupportedVersions, version) < std::ranges::find(kSupportedVersions, than);
}

Environment Environment::of_process() {
    const std::string override_netns = ascii::lowered(environment_variable("CNI_NETNS_OVERRIDE"));
    return {.command = environment_variable("CNI_COMMAND"),
            .container_id = environment_variable("CNI_CONTAINERID"),
            .netns = environment_variable("CNI_NETNS"),
            .ifname = environment_variable("CNI_IFNAME"),
            .args = environment_variable("CNI_ARGS"),
            .netns_override = override_netns == "1" || override_netns == "true"};
}

CniResult<std::string> read_version(std::string_view input) {
    MANUL_TRY(const json::object document, parse_input(input));
    std::string error;
    std::string version;
    JsonFields(document, error, JsonFields::Keys::any_case).read("cniVersion", version);
    return version;
}

CniResult<NetConf> parse_net_conf(std::string_view input, Verb verb) {
    MANUL_TRY(const json::object document, parse_input(input));
    std::string error;
    const JsonFields fields(document, error, JsonFields::Keys::any_case);
    NetConf out;
    fields.read("cniVersion", out.cni_version);
    if (!error.empty()) {
        return refuse(Code::cannot_decode, "network configuration: " + error);
    }
    MANUL_CHECK(check_version(out.cni_version, verb));
    fields.read("name", out.name);
    fields.read("run_dir", out.run_dir);
    fields.read("state_dir", out.state_dir);
    if (verb != Verb::del) {
        read_settings(fields, out);
    }
    if (verb == Verb::add || verb == Verb::check) {
        out.prev_result = read_prev_result(fields);
    }
    if (verb == Verb::check && !out.prev_result) {  // there is nothing to compare with
        fields.wrong("prevResult", nullptr, "the result of ADD");
    } else if (verb == Verb::gc) {
        read_valid_attachments(fields, out);
    }
    if (error.empty()) {
        error = meaningless(out);
    }
    if (error.empty() && ((verb == Verb::add && !out.prev_result) || verb == Verb::status)) {
        error = foreign_ipam(out.ipam_type);
    }
    if (!error.empty()) {
        return refuse(Code::invalid_config, "network configuration: " + error);
    }
    return out;
}

CniResult<std::map<std::string, std::string>> parse_args(std::string_view args) {
    std::map<std::string, std::string> out;
    while (!args.empty()) {
        const std::string_view pair = args.substr(0, args.find(';'));
        args.remove_prefix(std::min(pair.size() + 1, args.size()));
        const std::size_t equals = pair.find('=');
        if (pair.empty()) {
            continue;  // a trailing semicolon
        }
        if (equals == std::string_view::npos || equals == 0) {
            return refuse(Code::invalid_environment, "CNI_ARGS: \"" + std::string(pair) + "\" is not KEY=VALUE");
        }
        out.insert_or_assign(std::string(pair.substr(0, equals)), std::string(pair.substr(equals + 1)));
    }
    return out;
}

CniResult<void> check_args(const std::map<std::string, std::string>& args) {
    constexpr std::array<std::string_view, 7> kKnown{
        "IP", "IgnoreUnknown", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_NAME", "K8S_POD_NAMESPACE", "K8S_POD_UID", "MAC"};
    const auto ignore = args.find("IgnoreUnknown");
    if (ignore != args.end() && (ignore->second == "1" || ascii::lowered(ignore->second) == "true")) {
        return {};
    }
    std::string unknown;
    for (const auto& [key, value] : args) {
        if (std::ranges::find(kKnown, key) == kKnown.end()) {
            unknown += (unknown.empty() ? "" : ", ") + key;
        }
    }
    if (!unknown.empty()) {
        return refuse(Code::invalid_environment, "CNI_ARGS: unknown: " + unknown, "IgnoreUnknown=1 permits them");
    }
    return {};
}

CniResult<void> check_attachment(const Environment& environment, bool netns_needed) {
    const std::array<std::pair<std::string_view, bool>, 3> variables{
        {{"CNI_CONTAINERID", environment.container_id.empty()},
         {"CNI_NETNS", netns_needed && environment.netns.empty()},
         {"CNI_IFNAME", environment.ifname.empty()}}};
    std::string absent;
    for (const auto& [name, is_absent] : variables) {
        if (is_absent) {
            absent.append(absent.empty() ? "" : ", ").append(name);
        }
    }
    if (!absent.empty()) {
        return refuse(Code::invalid_environment, absent + " is missing");
    }
    if (!is_cni_name(environment.container_id)) {
        return refuse(Code::invalid_environment, "CNI_CONTAINERID \"" + environment.container_id +
                                                     "\" must consist of letters, digits, '_', '.' and '-', and begin "
                                                     "with a letter or digit");
    }
    if (!is_ifname(environment.ifname)) {
        return refuse(Code::invalid_environment,
                      "CNI_IFNAME \"" + environment.ifname +
                          "\" must have 1 to 15 bytes without '/', ':', '%' and blanks, and not be '.', '..', 'all' or "
                          "'default'");
    }
    if (netns_needed && environment.container_id.size() > kMaxContainerId) {
        return refuse(Code::invalid_environment, "CNI_CONTAINERID has more than 255 bytes");
    }
    return {};
}

namespace {

/// Addresses asked for by name.
CniResult<void> read_wishes(const NetConf& conf, ipam::Request& out) {
    out.ips = conf.ips;
    out.mac = conf.mac;
    if (const std::string wanted(out.arg("IP")); !wanted.empty() && out.ips.empty()) {
        const auto ip = parse_wanted_ip(wanted);
        if (!ip) {
            return refuse(Code::invalid_environment, "CNI_ARGS: IP \"" + wanted + "\" is not an IP address");
        }
        out.ips.push_back(*ip);
    }
    if (const std::string wanted(out.arg("MAC")); !wanted.empty() && !out.mac) {
        out.mac = parse_wanted_mac(wanted);
        if (!out.mac) {
            return refuse(Code::invalid_environment,
                          "CNI_ARGS: MAC \"" + wanted + "\" is not " + std::string(kUnicastMac));
        }
    }
    return {};
}

}  // namespace

CniResult<ipam::Request> make_request(ipam::Op op, const Environment& environment, const NetConf& conf) {
    ipam::Request out;
    out.op = op;
    out.network = conf.name;
    out.cni_version = conf.cni_version;
    if (op == ipam::Op::gc) {
        out.valid_attachments = conf.valid_attachments.value_or(std::vector<ipam::Attachment>());
        return out;
    }
    out.assign_ipv4 = conf.assign_ipv4;
    out.assign_ipv6 = conf.assign_ipv6;
    out.ipv4_pools = conf.ipv4_pools;
    out.ipv6_pools = conf.ipv6_pools;
    if (op == ipam::Op::status) {
        return out;
    }
    out.attachment = {environment.container_id, environment.ifname};
    out.netns = environment.netns;
    auto args = parse_args(environment.args);
    if (op == ipam::Op::del) {
        out.args = std::move(args).value_or(std::map<std::string, std::string>());
    } else {
        MANUL_TRY(out.args, std::move(args));
        MANUL_CHECK(check_args(out.args));
        MANUL_CHECK(read_wishes(conf, out));
    }
    out.args.erase("IgnoreUnknown");
    out.args.erase("IP");
    out.args.erase("MAC");
    out.labels = conf.labels;
    out.annotations = conf.annotations;
    out.allow_addresses_without_ipam = conf.allow_addresses_without_ipam;
    out.allow_floating_addresses = conf.allow_floating_addresses;
    out.port_mappings = conf.port_mappings;
    out.bandwidth = conf.bandwidth;
    out.host_interface = ipam::host_interface_name(out);
    return out;
}

}  // namespace manul::cni
