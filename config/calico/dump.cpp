#include "config/calico/dump.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/base64.hpp"
#include "base/sha1.hpp"
#include "config/codec/tree.hpp"
#include "config/model/names.hpp"
#include "config/model/vxlan_mac.hpp"
#include "config/model/workload_endpoint.hpp"

namespace manul::calico {

using codec::Tree;

namespace {

constexpr std::string_view kV3 = "projectcalico.org/v3";
constexpr std::string_view kCustom = "crd.projectcalico.org/v1";
/// Where Calico keeps the metadata that Kubernetes would not store as it is.
constexpr std::string_view kMetadataAnnotation = "projectcalico.org/metadata";
constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";
/// The name of a policy that Calico's controllers made of a Kubernetes NetworkPolicy.
constexpr std::string_view kConvertedPolicy = "knp.default.";

Tree text(std::string value) { return Tree::of_text(std::move(value)); }

bool is_true(const Tree* value) { return value != nullptr && value->text == "true"; }

Tree new_object(std::string_view api_version, std::string_view kind, std::string name) {
    Tree object{.type = Tree::Type::map};
    object.make("apiVersion").assign(text(std::string(api_version)));
    object.make("kind").assign(text(std::string(kind)));
    object.make("metadata").make("name").assign(text(std::move(name)));
    return object;
}

/// Removes what only the old datastore knew. What an object is by itself (uid, creationTimestamp) stays.
void clean_metadata(Tree& metadata) {
    for (const std::string_view field : {"resourceVersion", "generation", "managedFields", "selfLink",
                                         "deletionTimestamp", "deletionGracePeriodSeconds"}) {
        metadata.erase(field);
    }
    if (Tree* annotations = metadata.find("annotations"); annotations != nullptr && annotations->is_map()) {
        annotations->erase(kMetadataAnnotation);
        annotations->erase(kLastApplied);
        if (annotations->children.empty()) {
            metadata.erase("annotations");
        }
    }
    // Finalizers and owners name what is not in this datastore: nothing would ever remove the object.
    metadata.erase("finalizers");
    metadata.erase("ownerReferences");
}

bool is_policy(std::string_view kind) {
    constexpr std::array<std::string_view, 4> kKinds{"NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy",
                                                     "StagedGlobalNetworkPolicy"};
    return std::ranges::find(kKinds, kind) != kKinds.end();
}

std::string shortened_label(const std::string& name) {
    constexpr std::size_t kMaxLabel = 63;
    constexpr std::size_t kHashDigits = 8;
    std::string out = name;
    std::ranges::replace(out, '.', '-');
    if (out != name || out.size() > kMaxLabel) {
        out.resize(std::min(out.size(), kMaxLabel - kHashDigits - 1));
        out += "-" + sha1_hex(name, kHashDigits);
    }
    return out;
}

/// Up to Calico 3.31 the tier was part of a policy's name; of tier default it was left out of sight.
void convert_policy_name(Tree& object, std::vector<std::string>& notes) {
    constexpr std::string_view kDefault = "default.";
    Tree& name = object.make("metadata").make("name");
    if (name.text.starts_with(kConvertedPolicy)) {
        std::string renamed = shortened_label("knp-" + name.text.substr(kConvertedPolicy.size()));
        notes.push_back("NetworkPolicy " + std::string(object.text_at("metadata", "namespace")) + "/" + name.text +
                        ", made by Calico of a Kubernetes NetworkPolicy, is now called " + renamed +
                        "; delete it when you apply the original");
        name.text = std::move(renamed);
        return;
    }
    const std::string_view tier = object.text_at("spec", "tier");
    if (name.text.starts_with(kDefault) && (tier.empty() || tier == "default")) {
        name.text.erase(0, kDefault.size());
    }
}

/// Fields that are only read from data of Calico 2.
void convert_pool(Tree& spec) {
    if (const Tree* ipip = spec.find("ipip")) {
        const bool enabled = is_true(ipip->find("enabled"));
        const bool across = ipip->text_at("mode") == "cross-subnet";
        if (spec.find("ipipMode") == nullptr) {
            spec.make("ipipMode").assign(text(!enabled ? "Never" : across ? "CrossSubnet" : "Always"));
        }
        spec.erase("ipip");
    }
    if (const Tree* nat = spec.find("nat-outgoing")) {
        Tree value = *nat;
        spec.make("natOutgoing").assign(std::move(value));
        spec.erase("nat-outgoing");
    }
}

/// The forms of a block that older versions wrote.
void convert_block(Tree& spec) {
    if (const Tree* host = spec.find("hostAffinity")) {
        if (host->type == Tree::Type::text && spec.text_at("affinity").empty()) {
            spec.make("affinity").assign(text("host:" + host->text));
        }
        spec.erase("hostAffinity");
    }
    for (const std::string_view field : {"affinity", "affinityClaimTime", "sequenceNumberForAllocation"}) {
        if (const Tree* value = spec.find(field); value != nullptr && value->type == Tree::Type::null) {
            spec.erase(field);
        }
    }
    for (const std::string_view field : {"attributes", "unallocated", "allocations"}) {
        if (Tree& list = spec.make(field); list.type == Tree::Type::null) {
            list.assign(Tree{.type = Tree::Type::list});
        }
    }
    for (Tree& attribute : spec.make("attributes").children) {
        for (const std::string_view field : {"handle_id", "secondary", "alternateOwnerAttrs", "releasedAt"}) {
            if (const Tree* value = attribute.find(field); value != nullptr && value->type == Tree::Type::null) {
                attribute.erase(field);
            }
        }
    }
}

/// Calico's nodes work out the MACs of each other's VXLAN devices. Here they are in the Nodes, also when those get
/// other names on the way.
void add_macs(std::string_view name, Tree& spec) {
    for (const auto& [address, mac, family] :
         {std::tuple{"ipv4VXLANTunnelAddr", "vxlanTunnelMACAddr", net::Family::v4},
          std::tuple{"ipv6VXLANTunnelAddr", "vxlanTunnelMACAddrV6", net::Family::v6}}) {
        if (!spec.text_at(address).empty() && spec.text_at(mac).empty()) {
            spec.make(mac).assign(text(model::vxlan_mac(name, family).to_string()));
        }
    }
}

/// What is the same for every object, wherever it was stored. False: it is one that nobody needs.
bool finish(Tree& object, std::vector<std::string>& notes) {
    Tree& metadata = object.make("metadata");
    clean_metadata(metadata);
    Tree& spec = object.make("spec");
    if (spec.type == Tree::Type::null) {
        object.erase("spec");
        return true;
    }
    const std::string kind(object.text_at("kind"));
    const bool deletable = kind == "IPAMBlock" || kind == "IPAMHandle" || kind == "BlockAffinity";
    if (deletable) {
        if (is_true(spec.find("deleted"))) {  // custom resources have it as text
            return false;
        }
        spec.erase("deleted");
    }
    if (kind == "IPAMBlock") {
        convert_block(spec);
    } else if (kind == "IPPool") {
        convert_pool(spec);
    } else if (kind == "Node") {
        add_macs(metadata.text_at("name"), spec);
    } else if (is_policy(kind)) {
        convert_policy_name(object, notes);
    }
    return true;
}

void add(Converted& out, Tree object) {
    if (finish(object, out.notes)) {
        out.documents.push_back(std::move(object));
    }
}

/// Namespaces and service accounts lived in Calico's etcd as profiles that put their labels on pods.
std::optional<Tree> original_of(const Tree& profile) {
    const std::string_view name = profile.text_at("metadata", "name");
    const bool is_namespace = name.starts_with("kns.");
    if (!is_namespace && !name.starts_with("ksa.")) {
        return std::nullopt;
    }
    const std::string_view rest = name.substr(4);
    const std::size_t dot = rest.find('.');
    if (!is_namespace && dot == std::string_view::npos) {
        return std::nullopt;
    }
    Tree object = new_object("v1", is_namespace ? "Namespace" : "ServiceAccount",
                             std::string(is_namespace ? rest : rest.substr(dot + 1)));
    if (!is_namespace) {
        object.make("metadata").make("namespace").assign(text(std::string(rest.substr(0, dot))));
    }
    const std::string_view prefix = is_namespace ? model::kNamespaceLabelPrefix : model::kServiceAccountLabelPrefix;
    const Tree* spec = profile.find("spec");
    const Tree* labels = spec == nullptr ? nullptr : spec->find("labelsToApply");
    if (labels != nullptr) {
        for (const Tree& label : labels->children) {
            // The name is a label that follows from the object.
            if (label.key.starts_with(prefix) && label.key.substr(prefix.size()) != model::kLabelName) {
                object.make("metadata").make("labels").make(label.key.substr(prefix.size())).assign(text(label.text));
            }
        }
    }
    return object;
}

class EtcdReader {
public:
    explicit EtcdReader(bool for_kubernetes) : for_kubernetes_(for_kubernetes) {}

    void take(std::string_view key, Tree value) {
        constexpr std::string_view kRoot = "/calico/";
        constexpr std::string_view kResources = "resources/v3/projectcalico.org/";
        constexpr std::string_view kAddresses = "ipam/v2/";
        if (!key.starts_with(kRoot)) {
            ++left_out_[std::string(key.substr(0, key.find('/', 1)))];
            return;
        }
        const std::string_view path = key.substr(kRoot.size());
        if (path.starts_with(kResources)) {
            take_resource(key, std::move(value));
        } else if (!path.starts_with(kAddresses) || !take_addresses(path.substr(kAddresses.size()), std::move(value))) {
            const std::size_t second = path.find('/', path.find('/') + 1);
            ++left_out_["/calico/" + std::string(path.substr(0, second))];
        }
    }

    void fail(std::string_view key, const std::string& reason) {
        out_.errors.push_back(std::string(key) + ": " + reason);
    }

    Converted finish() && {
        for (const auto& [prefix, count] : left_out_) {
            out_.notes.push_back("left out: " + std::to_string(count) + " keys below " + prefix +
                                 ", which are no objects (status of Calico's daemons, or data of Calico 2)");
        }
        if (copies_ != 0) {
            out_.notes.push_back("left out: " + std::to_string(copies_) +
                                 " copies of Kubernetes' policies, namespaces and service accounts; the originals are "
                                 "in force");
        }
        return std::move(out_);
    }

private:
    void take_resource(std::string_view key, Tree value) {
        if (value.text_at("kind").empty() || value.text_at("apiVersion").empty()) {
            fail(key, "the value is no object with apiVersion and kind");
            return;
        }
        const std::string name(value.text_at("metadata", "name"));
        if (value.text_at("kind") == "Profile") {
            if (name == "projectcalico-default-allow") {
                return;  // exists everywhere
            }
            if (auto original = original_of(value)) {
                if (for_kubernetes_) {
                    ++copies_;
                } else {
                    out_.documents.push_back(*std::move(original));
                }
                return;
            }
        }
        if (for_kubernetes_ && value.text_at("kind") == "NetworkPolicy" && name.starts_with(kConvertedPolicy)) {
            ++copies_;
            return;
        }
        add(out_, std::move(value));
    }

    /// The path behind "/calico/ipam/v2/". False: no object.
    bool take_addresses(std::string_view path, Tree value) {
        const auto parts = split(path);
        if (path == "config") {
            Tree object = new_object(kV3, "IPAMConfiguration", "default");
            Tree& spec = object.make("spec");
            spec.assign(Tree{.type = Tree::Type::map});
            // Absent means false here, while auto-allocation is on where nothing says otherwise.
            const auto flag = [&](std::string_view from, std::string_view to) {
                spec.make(to).assign(
                    Tree{.type = Tree::Type::boolean, .text = is_true(value.find(from)) ? "true" : "false"});
            };
            flag("strict_affinity", "strictAffinity");
            flag("auto_allocate_blocks", "autoAllocateBlocks");
            if (const Tree* limit = value.find("maxBlocksPerHost")) {
                spec.make("maxBlocksPerHost").assign(*limit);
            }
            add(out_, std::move(object));
            return true;
        }
        if (parts.size() == 2 && parts[0] == "handle") {
            Tree object = new_object(kV3, "IPAMHandle", std::string(parts[1]));
            object.make("spec").assign(std::move(value));
            object.make("spec").make("handleID").assign(text(std::string(parts[1])));
            add(out_, std::move(object));
            return true;
        }
        if (parts.size() == 4 && parts[0] == "assignment" && parts[2] == "block") {
            Tree object = new_object(kV3, "IPAMBlock", std::string(parts[3]));
            object.make("spec").assign(std::move(value));
            object.make("spec").make("cidr").assign(text(network(parts[3])));
            add(out_, std::move(object));
            return true;
        }
        const bool of_host = parts.size() == 5 && parts[0] == "host" && parts[3] == "block";
        const bool of_other = parts.size() == 5 && parts[0] == "virtual" && parts[3] == "block";
        if (of_host || of_other) {
            Tree object = new_object(kV3, "BlockAffinity", std::string(parts[4]));
            Tree& spec = object.make("spec");
            spec.assign(value.is_map() ? std::move(value) : Tree{.type = Tree::Type::map});
            spec.make("node").assign(text(std::string(parts[1])));
            spec.make("type").assign(text(of_host ? "host" : "virtual"));
            spec.make("cidr").assign(text(network(parts[4])));
            add(out_, std::move(object));
            return true;
        }
        return false;
    }

    static std::vector<std::string_view> split(std::string_view path) {
        std::vector<std::string_view> parts;
        for (;;) {
            const std::size_t slash = path.find('/');
            parts.push_back(path.substr(0, slash));
            if (slash == std::string_view::npos) {
                return parts;
            }
            path.remove_prefix(slash + 1);
        }
    }

    /// "10.0.0.0-26" as "10.0.0.0/26".
    static std::string network(std::string_view part) {
        std::string out(part);
        if (const std::size_t dash = out.rfind('-'); dash != std::string::npos) {
            out[dash] = '/';
        }
        return out;
    }

    bool for_kubernetes_;
    Converted out_;
    std::map<std::string, std::size_t> left_out_;
    std::size_t copies_ = 0;
};

}  // namespace

bool is_etcd_dump(const Tree& document) noexcept {
    const Tree* pairs = document.find("kvs");
    return document.find("header") != nullptr && document.find("kind") == nullptr &&
           (pairs == nullptr || pairs->is_list());
}

bool is_address_export(const Tree& document) noexcept {
    return document.find("kind") == nullptr &&
           (document.find("block_affinities") != nullptr || document.find("blocks") != nullptr ||
            document.find("handles") != nullptr);
}

Converted from_etcd_dump(const Tree& dump, bool for_kubernetes) {
    EtcdReader reader(for_kubernetes);
    const Tree* pairs = dump.find("kvs");
    if (pairs == nullptr) {  // etcdctl leaves it out where nothing was found
        return std::move(reader).finish();
    }
    for (std::size_t i = 0; i < pairs->children.size(); ++i) {
        const Tree& pair = pairs->children[i];
        const auto key = base64_decode(pair.text_at("key"));
        const auto value = base64_decode(pair.text_at("value"));
        if (!key || !value || key->empty()) {
            reader.fail("kvs[" + std::to_string(i) + "]",
                        "key or value is not base64, as `etcdctl -w json` prints them");
            continue;
        }
        auto document = codec::parse_json(*value);
        if (document) {
            reader.take(*key, *std::move(document));
        } else if (key->starts_with("/calico/resources/") || key->starts_with("/calico/ipam/")) {
            reader.fail(*key, document.error().message);
        } else {
            reader.take(*key, Tree{});  // not JSON, and not an object of ours: counted as left out
        }
    }
    return std::move(reader).finish();
}

Converted from_address_export(const Tree& document) {
    EtcdReader reader(true);
    for (const std::string_view list : {"blocks", "block_affinities", "handles"}) {
        const Tree* pairs = document.find(list);
        for (std::size_t i = 0; pairs != nullptr && i < pairs->children.size(); ++i) {
            const Tree& pair = pairs->children[i];
            const Tree* value = pair.find("Value");
            if (pair.text_at("Key").empty() || value == nullptr) {
                reader.fail(std::string(list) + "[" + std::to_string(i) + "]", "Key or Value is missing");
            } else {
                reader.take(pair.text_at("Key"), *value);
            }
        }
    }
    const Tree* config = document.find("config");
    if (const Tree* value = config == nullptr ? nullptr : config->find("Value")) {
        reader.take("/calico/ipam/v2/config", *value);
    }
    return std::move(reader).finish();
}

bool is_custom_resource(const Tree& document) noexcept { return document.text_at("apiVersion") == kCustom; }

Converted from_custom_resource(Tree object) {
    Converted out;
    const std::string name(object.text_at("metadata", "name"));
    object.make("apiVersion").assign(text(std::string(kV3)));
    if (object.text_at("kind") == "IPAMConfig") {
        object.make("kind").assign(text("IPAMConfiguration"));
    }
    const Tree* metadata = object.find("metadata");
    const Tree* annotations = metadata == nullptr ? nullptr : metadata->find("annotations");
    const Tree* kept = annotations == nullptr ? nullptr : annotations->find(kMetadataAnnotation);
    if (kept != nullptr) {
        auto original = codec::parse_json(kept->text);
        if (!original || !original->is_map()) {
            out.errors.push_back(std::string(object.text_at("kind")) + " " + name + ": annotation " +
                                 std::string(kMetadataAnnotation) + " is no JSON object");
            return out;
        }
        Tree& target = object.make("metadata");
        for (const std::string_view field : {"name", "labels", "annotations"}) {
            Tree* value = original->find(field);
            if (value != nullptr && value->type != Tree::Type::null &&
                !(value->type == Tree::Type::text && value->text.empty())) {
                target.make(field).assign(std::move(*value));
            } else if (field == "labels") {
                target.erase(field);  // those outside are Calico's own, for selecting on the server
            }
        }
    }
    add(out, std::move(object));
    return out;
}

}  // namespace manul::calico
