#include "ipam/local/protocol.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/error.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/error.hpp"
#include "base/json_fields.hpp"
#include "base/sha1.hpp"
#include "base/try.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

namespace manul::ipam {

namespace {

namespace json = boost::json;

struct OpName {
    Op op;
    std::string_view name;
};
constexpr std::array<OpName, 5> kOps{
    {{Op::add, "add"}, {Op::del, "del"}, {Op::check, "check"}, {Op::gc, "gc"}, {Op::status, "status"}}};

std::string_view name_of(Op op) {
    for (const auto& [known, name] : kOps) {
        if (known == op) {
            return name;
        }
    }
    return {};
}

std::optional<Op> parse_op(std::string_view text) {
    for (const auto& [op, name] : kOps) {
        if (name == text) {
            return op;
        }
    }
    return std::nullopt;
}

// What is empty or zero is left out: absent and empty mean the same in this protocol.
void put(json::object& out, std::string_view key, const std::string& value) {
    if (!value.empty()) {
        out[key] = value;
    }
}
void put(json::object& out, std::string_view key, std::uint64_t value) {
    if (value != 0) {
        out[key] = value;
    }
}
void put(json::object& out, std::string_view key, const std::map<std::string, std::string>& values) {
    if (!values.empty()) {
        json::object& inner = out[key].emplace_object();
        for (const auto& [name, value] : values) {
            inner[name] = value;
        }
    }
}
void put(json::object& out, std::string_view key, const std::vector<std::string>& values) {
    if (!values.empty()) {
        out[key] = json::array(values.begin(), values.end());
    }
}
template <class T>
void put_texts(json::object& out, std::string_view key, const std::vector<T>& values) {
    if (!values.empty()) {
        json::array& list = out[key].emplace_array();
        for (const T& value : values) {
            list.emplace_back(value.to_string());
        }
    }
}

json::object attachment_object(const Attachment& attachment) {
    return {{"containerID", attachment.container_id}, {"ifname", attachment.ifname}};
}

void read_attachment(const JsonFields& fields, Attachment& out) {
    fields.read("containerID", out.container_id);
    fields.read("ifname", out.ifname);
}

Result<json::object> parse_object(std::string_view text, std::string_view what) {
    boost::system::error_code error;
    json::value document = json::parse(text, error);
    if (error) {
        return fail(std::string(what) + " is not JSON: " + error.message());
    }
    if (!document.is_object()) {
        return fail(std::string(what) + " is not a JSON object");
    }
    return std::move(document.get_object());
}

Result<void> check_version(const JsonFields& fields, std::string_view what) {
    std::uint32_t version = 0;
    fields.read("version", version);
    if (version != kProtocolVersion) {
        return fail(std::string(what) + " has protocol version " + std::to_string(version) + ", this program speaks " +
                    std::to_string(kProtocolVersion));
    }
    return {};
}

}  // namespace

bool Request::is_kubernetes() const { return !arg("K8S_POD_NAMESPACE").empty() && !arg("K8S_POD_NAME").empty(); }

std::string_view Request::arg(std::string_view key) const {
    const auto found = args.find(std::string(key));
    return found == args.end() ? std::string_view() : std::string_view(found->second);
}

std::string host_interface_name(const Request& request) {
    // Only the main interface of a pod is named by the pod; a second network of the pod needs a second name.
    const bool by_pod = request.is_kubernetes() && request.attachment.ifname == "eth0";
    const std::string identity =
        by_pod ? std::string(request.arg("K8S_POD_NAMESPACE")) + '.' + std::string(request.arg("K8S_POD_NAME"))
               : request.attachment.container_id + '/' + request.attachment.ifname;
    return "cali" + sha1_hex(identity, 11);
}

std::string journal_name(const Request& request) {
    return sha1_hex(request.network + '\n' + request.attachment.container_id + '\n' + request.attachment.ifname) +
           ".json";
}

Answer failure(ErrorCode code, std::string msg, std::string details) {
    Answer answer;
    answer.error = Failure{static_cast<std::uint16_t>(code), std::move(msg), std::move(details)};
    return answer;
}

std::string encode(const Request& request) {
    json::object out{{"version", kProtocolVersion}, {"op", name_of(request.op)}};
    put(out, "network", request.network);
    put(out, "cniVersion", request.cni_version);
    put(out, "containerID", request.attachment.container_id);
    put(out, "ifname", request.attachment.ifname);
    put(out, "netns", request.netns);
    put(out, "netnsInode", request.netns_inode);
    put(out, "args", request.args);
    put(out, "labels", request.labels);
    put(out, "annotations", request.annotations);
    put_texts(out, "ips", request.ips);
    json::object ipam{{"assign_ipv4", request.assign_ipv4}, {"assign_ipv6", request.assign_ipv6}};
    put(ipam, "ipv4_pools", request.ipv4_pools);
    put(ipam, "ipv6_pools", request.ipv6_pools);
    if (request.allow_addresses_without_ipam) {
        ipam["ip_addrs_no_ipam"] = true;
    }
    if (request.allow_floating_addresses) {
        ipam["floating_ips"] = true;
    }
    out["ipam"] = std::move(ipam);
    put(out, "hostInterface", request.host_interface);
    put(out, "hostIfindex", request.host_ifindex);
    if (request.mac) {
        out["mac"] = request.mac->to_string();
    }
    if (!request.port_mappings.empty()) {
        json::array& list = out["portMappings"].emplace_array();
        for (const PortMapping& mapping : request.port_mappings) {
            json::object item{{"hostPort", mapping.host_port},
                              {"containerPort", mapping.container_port},
                              {"protocol", mapping.protocol}};
            if (mapping.host_ip) {
                item["hostIP"] = mapping.host_ip->to_string();
            }
            list.push_back(std::move(item));
        }
    }
    if (request.bandwidth) {
        json::object& inner = out["bandwidth"].emplace_object();
        put(inner, "ingressRate", request.bandwidth->ingress_rate);
        put(inner, "ingressBurst", request.bandwidth->ingress_burst);
        put(inner, "egressRate", request.bandwidth->egress_rate);
        put(inner, "egressBurst", request.bandwidth->egress_burst);
    }
    if (request.policy_only) {
        out["policyOnly"] = true;
    }
    if (!request.valid_attachments.empty()) {
        json::array& list = out["validAttachments"].emplace_array();
        for (const Attachment& attachment : request.valid_attachments) {
            list.push_back(attachment_object(attachment));
        }
    }
    return json::serialize(out);
}

Result<Request> decode_request(std::string_view text) {
    MANUL_TRY(const json::object document, parse_object(text, "request"));
    return decode_request(document);
}

Result<Request> decode_request(const json::object& document) {
    std::string error;
    const JsonFields fields(document, error);
    MANUL_CHECK(check_version(fields, "request"));
    if (fields.find("op") == nullptr) {
        return fail("request has no op");
    }
    Request out;
    fields.read_text("op", out.op, "add, del, check, gc or status", parse_op);
    fields.read("network", out.network);
    fields.read("cniVersion", out.cni_version);
    read_attachment(fields, out.attachment);
    fields.read("netns", out.netns);
    fields.read("netnsInode", out.netns_inode);
    fields.read("args", out.args);
    fields.read("labels", out.labels);
    fields.read("annotations", out.annotations);
    fields.read_texts("ips", out.ips, "an IP address", net::Ip::parse);
    fields.read_object("ipam", [&out](const JsonFields& ipam) {
        ipam.read("assign_ipv4", out.assign_ipv4);
        ipam.read("assign_ipv6", out.assign_ipv6);
        ipam.read("ipv4_pools", out.ipv4_pools);
        ipam.read("ipv6_pools", out.ipv6_pools);
        ipam.read("ip_addrs_no_ipam", out.allow_addresses_without_ipam);
        ipam.read("floating_ips", out.allow_floating_addresses);
    });
    fields.read("hostInterface", out.host_interface);
    fields.read("hostIfindex", out.host_ifindex);
    fields.read_text("mac", out.mac, "a MAC address", net::Mac::parse);
    fields.read_objects("portMappings", [&out](const JsonFields& item) {
        PortMapping& mapping = out.port_mappings.emplace_back();
        item.read("hostPort", mapping.host_port);
        item.read("containerPort", mapping.container_port);
        item.read("protocol", mapping.protocol);
        item.read_text("hostIP", mapping.host_ip, "an IP address", net::Ip::parse);
    });
    fields.read_object("bandwidth", [&out](const JsonFields& inner) {
        Bandwidth& bandwidth = out.bandwidth.emplace();
        inner.read("ingressRate", bandwidth.ingress_rate);
        inner.read("ingressBurst", bandwidth.ingress_burst);
        inner.read("egressRate", bandwidth.egress_rate);
        inner.read("egressBurst", bandwidth.egress_burst);
    });
    fields.read("policyOnly", out.policy_only);
    fields.read_objects("validAttachments", [&out](const JsonFields& item) {
        read_attachment(item, out.valid_attachments.emplace_back());
    });
    if (!error.empty()) {
        return fail("request: " + error);
    }
    return out;
}

std::string encode(const Answer& answer) { return json::serialize(to_json(answer)); }

json::object to_json(const Answer& answer) {
    json::object out{{"version", kProtocolVersion}};
    if (answer.error) {
        json::object error{{"code", answer.error->code}, {"msg", answer.error->msg}};
        put(error, "details", answer.error->details);
        out["error"] = std::move(error);
    }
    put_texts(out, "ips", answer.ips);
    put_texts(out, "routes", answer.routes);
    put(out, "hostInterface", answer.host_interface);
    put(out, "mtu", answer.mtu);
    if (answer.mac) {
        out["mac"] = answer.mac->to_string();
    }
    if (answer.policy_only) {
        out["policyOnly"] = true;
    }
    if (answer.ending) {
        out["ending"] = true;
    }
    put(out, "endpoint", answer.endpoint);
    put(out, "resourceVersion", answer.resource_version);
    put(out, "warning", answer.warning);
    return out;
}

Result<Answer> decode_answer(std::string_view text) {
    MANUL_TRY(const json::object document, parse_object(text, "answer"));
    std::string error;
    const JsonFields fields(document, error);
    MANUL_CHECK(check_version(fields, "answer"));
    Answer out;
    fields.read_object("error", [&out](const JsonFields& inner) {
        Failure& failure = out.error.emplace();
        failure.code = static_cast<std::uint16_t>(ErrorCode::internal);
        inner.read("code", failure.code);
        inner.read("msg", failure.msg);
        inner.read("details", failure.details);
    });
    fields.read_texts("ips", out.ips, "an IP address", net::Ip::parse);
    fields.read_texts("routes", out.routes, "a prefix", net::Prefix::parse);
    fields.read("hostInterface", out.host_interface);
    fields.read("mtu", out.mtu);
    fields.read_text("mac", out.mac, "a MAC address", net::Mac::parse);
    fields.read("policyOnly", out.policy_only);
    fields.read("ending", out.ending);
    fields.read("endpoint", out.endpoint);
    fields.read("resourceVersion", out.resource_version);
    fields.read("warning", out.warning);
    if (!error.empty()) {
        return fail("answer: " + error);
    }
    return out;
}

}  // namespace manul::ipam
