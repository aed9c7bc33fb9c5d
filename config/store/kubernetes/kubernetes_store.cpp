#include <algorithm>
#include <cstdlib>
#include <expected>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/secret.hpp"
#include "config/model/kind.hpp"
#include "config/store/admission.hpp"
#include "config/store/backend.hpp"
#include "config/store/document.hpp"
#include "config/store/kubernetes.hpp"
#include "config/store/kubernetes/api.hpp"
#include "config/store/kubernetes/documents.hpp"
#include "config/store/kubernetes/json_text.hpp"
#include "config/store/kubernetes/watch.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace json = boost::json;
using namespace kubernetes;
using Code = StoreError::Code;
using model::Kind;

namespace {

/// Attempts of one write against others' writes to the same object.
constexpr int kAttempts = 30;
constexpr std::size_t kMaxOps = 100;
constexpr const char* kPageSize = "500";

StoreError missing(const model::Key& key) {
    return error(Code::not_found, "resource does not exist: " + key.to_string());
}

/// The answer to a path of a kind that the server does not know; a missing object is named in the answer.
bool is_unknown_kind(const StoreError& failed) {
    return failed.code == Code::not_found &&
           (failed.message.find("could not find the requested resource") != std::string::npos ||
            failed.message.find("404 page not found") != std::string::npos);  // not even the group
}

Object to_object(Translated translated) {
    return Object{std::move(translated.key), std::move(translated.revision),
                  std::make_shared<const std::string>(json::serialize(translated.document))};
}

/// The store as the checks against other objects see it.
class ReadBackend final : public Backend {
public:
    explicit ReadBackend(Store& store) : store_(store) {}

    [[nodiscard]] StoreResult<Snapshot> read(std::span<const model::Key> keys) override {
        Snapshot snapshot;
        for (const model::Key& key : keys) {
            auto object = store_.get(key);
            if (!object && object.error().code != Code::not_found) {
                return std::unexpected(std::move(object).error());
            }
            snapshot.rows.push_back(object ? std::optional(Row{key, object->revision, object->document})
                                           : std::nullopt);
        }
        return snapshot;
    }
    [[nodiscard]] StoreResult<RowListing> scan(const ListQuery& query) override {
        MANUL_TRY(Listing listing, store_.list(query));
        RowListing out{{}, std::move(listing.revision)};
        for (Object& object : listing.items) {
            out.rows.push_back(Row{std::move(object.key), std::move(object.revision), std::move(object.document)});
        }
        return out;
    }
    [[nodiscard]] StoreResult<Revision> commit(std::span<const Mutation> /*mutations*/,
                                               std::span<const KindUnchanged> /*kinds*/) override {
        return std::unexpected(error(Code::unsupported, "this view only reads"));
    }
    [[nodiscard]] bool transactional() const noexcept override { return false; }
    [[nodiscard]] StoreResult<std::string> identity() override { return store_.identity(); }
    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override {
        return store_.watch(starts);
    }

private:
    Store& store_;
};

class KubernetesStore final : public Store {
public:
    explicit KubernetesStore(KubernetesOptions options) : options_(std::move(options)) {}

    [[nodiscard]] StoreResult<Object> get(const model::Key& key) override {
        MANUL_CHECK(connect());
        const Place place = place_of(key.kind, group_);
        if (place.form == Form::derived) {
            return std::unexpected(missing(key));
        }
        MANUL_TRY(Translated found, fetch(key, place));
        return to_object(std::move(found));
    }

    [[nodiscard]] StoreResult<Listing> list(const ListQuery& query) override {
        MANUL_CHECK(connect());
        const Place place = place_of(query.kind, group_);
        Listing listing;
        if (place.form == Form::derived) {
            return listing;
        }
        std::string page;
        bool started_anew = false;
        while (true) {
            Query parameters{{"limit", kPageSize}};
            if (!page.empty()) {
                parameters["continue"] = page;
            }
            auto answer = api_->get(place.collection(query.ns.value_or("")), parameters);
            if (!answer && answer.error().code == Code::compacted && !std::exchange(started_anew, true)) {
                // The pages of the first attempt are of a version that is gone: only a whole list is consistent.
                listing.items.clear();
                page.clear();
                continue;
            }
            if (!answer && is_unknown_kind(answer.error())) {
                MANUL_CHECK(refuse_unknown_kind(query.kind));
                return Listing{};
            }
            if (!answer) {
                return std::unexpected(std::move(answer).error());
            }
            const json::object& metadata = object_at(*answer, "metadata");
            listing.revision = text_at(metadata, "resourceVersion");
            page = text_at(metadata, "continue");
            add_items(listing, query, place, *answer);
            if (page.empty()) {
                return listing;
            }
        }
    }

    [[nodiscard]] StoreResult<Object> create(const model::Key& key, std::string_view document) override {
        MANUL_CHECK(connect());
        const Place place = place_of(key.kind, group_);
        MANUL_CHECK(refuse_write(key, place, true));
        MANUL_TRY(Admitted admitted, admit(key, document, std::nullopt));
        json::object& metadata = make_object(admitted.document, "metadata");
        metadata.erase("resourceVersion");
        metadata.erase("uid");
        return write("POST", place.collection(key.ns), key, place, std::move(admitted.document));
    }

    [[nodiscard]] StoreResult<Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<Revision>& expected) override {
        MANUL_CHECK(connect());
        const Place place = place_of(key.kind, group_);
        MANUL_CHECK(refuse_write(key, place, false));
        for (int attempt = 1;; ++attempt) {
            MANUL_TRY(Translated found, fetch(key, place));
            if (expected && found.revision != *expected) {
                return std::unexpected(stale(key, found.revision, *expected));
            }
            const Object before = to_object(std::move(found));
            MANUL_TRY(Admitted admitted, admit(key, document, *before.document));
            if (codec::same_content(*before.document, json::serialize(admitted.document))) {
                return before;
            }
            auto written = place.form == Form::node ? patch_node(key, place, admitted.document, before.revision)
                                                    : put(key, place, std::move(admitted.document), before.revision);
            const bool lost = !written && written.error().code == Code::conflict;
            if (!lost || expected || attempt == kAttempts) {
                return written;
            }
        }
    }

    [[nodiscard]] StoreResult<Object> remove(const model::Key& key, const std::optional<Revision>& expected) override {
        MANUL_CHECK(connect());
        const Place place = place_of(key.kind, group_);
        MANUL_CHECK(refuse_write(key, place, false));
        MANUL_TRY(Translated found, fetch(key, place));
        if (expected && found.revision != *expected) {
            return std::unexpected(stale(key, found.revision, *expected));
        }
        Object removed = to_object(std::move(found));
        const PlannedWrite planned{key, *removed.document, nullptr};
        MANUL_CHECK(check_others(std::span(&planned, 1)));
        json::object preconditions;
        if (expected) {
            preconditions["resourceVersion"] = *expected;
        }
        auto done = api_->write("DELETE", place.object(key.ns, key.name), {},
                                {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", preconditions}});
        if (!done && done.error().code != Code::not_found) {
            return std::unexpected(std::move(done).error());
        }
        return removed;
    }

    [[nodiscard]] StoreResult<Revision> transact(std::span<const Op> ops, Checks checks) override;

    [[nodiscard]] bool transactional() const noexcept override { return false; }

    [[nodiscard]] StoreResult<std::string> identity() override {
        MANUL_CHECK(connect());
        MANUL_TRY(const json::object system, api_->get("/api/v1/namespaces/kube-system"));
        return text_at(object_at(system, "metadata"), "uid");
    }

    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override {
        MANUL_CHECK(connect());
        return open_watch(api_->access(), server_, group_, starts);
    }

private:
    /// Reads the credentials, and finds out which group of custom resources the cluster has.
    StoreResult<void> connect() {
        if (!api_) {
            auto access = options_.kubeconfig.empty() ? in_cluster_access()
                                                      : load_kubeconfig(options_.kubeconfig, options_.context);
            if (!access) {
                return std::unexpected(error(Code::unavailable, access.error().message));
            }
            auto server = parse_server(*access);
            if (!server) {
                return std::unexpected(error(Code::invalid, server.error().message));
            }
            server_ = *server;
            api_ = std::make_unique<Api>(Credentials(*std::move(access)), *std::move(server), options_.timeout);
        }
        if (group_known_) {
            return {};
        }
        if (const char* given = std::getenv("CALICO_API_GROUP")) {
            group_ = std::string_view(given).starts_with("projectcalico.org") ? CalicoGroup::v3 : CalicoGroup::classic;
            group_known_ = true;
            return {};
        }
        MANUL_TRY(const json::object groups, api_->get("/apis"));
        bool has_classic = false;
        bool has_v3 = false;
        for (const json::value& group : array_at(groups, "groups")) {
            const std::string name = group.is_object() ? text_at(group.get_object(), "name") : std::string();
            has_classic |= name == "crd.projectcalico.org";
            has_v3 |= name == "projectcalico.org";
        }
        // The group of the aggregated server of Calico has the same name as the newer resources, so in doubt the
        // others.
        group_ = has_v3 && !has_classic ? CalicoGroup::v3 : CalicoGroup::classic;
        group_known_ = has_classic || has_v3;
        return {};
    }

    /// Policies of policy.networking.k8s.io come with an extension that a cluster may lack.
    static StoreResult<void> refuse_unknown_kind(Kind kind) {
        const model::KindInfo& info = model::info(kind);
        if (info.group == "policy.networking.k8s.io") {
            return {};
        }
        return std::unexpected(error(
            Code::unavailable, fmt::format("this cluster does not know {} of {}: install Manul's custom resources",
                                           info.name, info.group)));
    }

    static StoreError stale(const model::Key& key, const Revision& found, const Revision& expected) {
        return error(Code::conflict,
                     fmt::format("update conflict: {} is at revision {}, not {}", key.to_string(), found, expected));
    }

    static void add_items(Listing& listing, const ListQuery& query, const Place& place, json::object& answer) {
        json::value* items = answer.if_contains("items");
        if (items == nullptr || !items->is_array()) {
            return;
        }
        for (json::value& item : items->get_array()) {
            if (!item.is_object()) {
                continue;
            }
            auto translated = to_document(query.kind, place, std::move(item.get_object()));
            if (translated && translated->key.name.starts_with(query.name_prefix)) {
                listing.items.push_back(to_object(*std::move(translated)));
            }
        }
    }

    StoreResult<Translated> fetch(const model::Key& key, const Place& place) {
        std::string name = key.name;
        if (place.form == Form::endpoint) {
            const auto pod = pod_of_endpoint(key.name);
            if (!pod) {
                return std::unexpected(missing(key));
            }
            name = *pod;
        }
        auto answer = api_->get(place.object(key.ns, name));
        if (!answer) {
            if (is_unknown_kind(answer.error())) {
                MANUL_CHECK(refuse_unknown_kind(key.kind));
            }
            return std::unexpected(answer.error().code == Code::not_found ? missing(key) : answer.error());
        }
        auto translated = to_document(key.kind, place, *std::move(answer));
        if (!translated || translated->key.name != key.name) {
            return std::unexpected(missing(key));
        }
        return *std::move(translated);
    }

    static StoreResult<void> refuse_write(const model::Key& key, const Place& place, bool create) {
        if (place.form == Form::endpoint) {
            return std::unexpected(error(
                Code::unsupported, key.to_string() + ": endpoints follow from Pods on Kubernetes; change the Pod"));
        }
        if (place.form == Form::derived) {
            return std::unexpected(
                error(Code::unsupported, key.to_string() + ": profiles follow from Namespaces and ServiceAccounts on "
                                                           "Kubernetes; write a policy instead"));
        }
        if (place.form == Form::node && create) {
            return std::unexpected(
                error(Code::unsupported, key.to_string() + ": Nodes are made by their kubelet on Kubernetes"));
        }
        return {};
    }

    StoreResult<void> check_others(std::span<const PlannedWrite> writes) {
        ReadBackend backend(*this);
        MANUL_CHECK(admit_writes(backend, writes));
        return {};
    }

    /// The document as it may be written. `before` is the stored one.
    StoreResult<Admitted> admit(const model::Key& key, std::string_view document,
                                std::optional<std::string_view> before) {
        std::string text(document);
        if (key.kind == Kind::secret) {
            auto completed = codec::completed_secret(text, before);
            if (!completed) {
                return std::unexpected(error(Code::invalid, key.to_string() + ": " + completed.error().message));
            }
            text = *std::move(completed);
        }
        MANUL_TRY(Admitted admitted, admit_document(key, text, Checks::full));
        const PlannedWrite planned{key, before, admitted.resource};
        MANUL_CHECK(check_others(std::span(&planned, 1)));
        return admitted;
    }

    StoreResult<Object> write(const std::string& method, const std::string& path, const model::Key& key,
                              const Place& place, json::object document) {
        // Fields that the server's schema does not have would be dropped without a word.
        auto answer = api_->write(method, path, {{"fieldValidation", "Strict"}},
                                  kubernetes::to_object(place, std::move(document)));
        if (!answer) {
            StoreError failed = std::move(answer).error();
            if (is_unknown_kind(failed)) {
                MANUL_CHECK(refuse_unknown_kind(key.kind));
            }
            return std::unexpected(std::move(failed));
        }
        return to_object(*to_document(key.kind, place, *std::move(answer)));
    }

    StoreResult<Object> put(const model::Key& key, const Place& place, json::object document,
                            const Revision& revision) {
        make_object(document, "metadata")["resourceVersion"] = revision;
        return write("PUT", place.object(key.ns, key.name), key, place, std::move(document));
    }

    StoreResult<Object> patch_node(const model::Key& key, const Place& place, const json::object& document,
                                   const Revision& revision) {
        json::object patch = node_patch(document);
        make_object(patch, "metadata")["resourceVersion"] = revision;
        MANUL_TRY(json::object answer, api_->write("PATCH", place.object("", key.name), {}, patch, kMergePatch));
        return to_object(*to_document(key.kind, place, std::move(answer)));
    }

    /// Records an endpoint's addresses in its Pod, or takes them away (`document` null).
    StoreResult<Revision> patch_pod(const model::Key& key, const Place& place, const Translated& before,
                                    const json::object* document) {
        const std::string uid = derived_uid(text_at(object_at(before.document, "metadata"), "uid"));
        json::object patch = endpoint_patch(document, uid);
        make_object(patch, "metadata")["resourceVersion"] = before.revision;
        MANUL_TRY(
            const json::object answer,
            api_->write("PATCH", place.object(key.ns, *pod_of_endpoint(key.name)) + "/status", {}, patch, kMergePatch));
        return text_at(object_at(answer, "metadata"), "resourceVersion");
    }

    KubernetesOptions options_;
    HttpServer server_;
    std::unique_ptr<Api> api_;
    CalicoGroup group_ = CalicoGroup::classic;
    bool group_known_ = false;
};

/// One part of a transaction, with what was found before it.
struct Step {
    const model::Key* key = nullptr;
    const std::string* document = nullptr;  ///< of a put
    bool removes = false;
    std::optional<Precondition> precondition;
};

Step step_of(const Op& op) {
    return std::visit(overloaded{
                          [](const Put& put) { return Step{&put.key, &put.document, false, put.precondition}; },
                          [](const Remove& remove) { return Step{&remove.key, nullptr, true, remove.precondition}; },
                          [](const Check& check) { return Step{&check.key, nullptr, false, check.precondition}; },
                      },
                      op);
}

StoreResult<Revision> KubernetesStore::transact(std::span<const Op> ops, Checks checks) {
    MANUL_CHECK(connect());
    if (ops.size() > kMaxOps) {
        return std::unexpected(error(
            Code::too_large, fmt::format("a transaction takes at most {} keys, this one has {}", kMaxOps, ops.size())));
    }
    // Everything is compared before anything is written, so that a transaction that lost writes nothing.
    std::vector<Step> steps;
    std::vector<std::optional<Translated>> before;
    std::set<model::Key> seen;
    for (const Op& op : ops) {
        steps.push_back(step_of(op));
        const Step& step = steps.back();
        if (!seen.insert(*step.key).second) {
            return std::unexpected(
                error(Code::invalid, step.key->to_string() + " is twice in one transaction; each key goes once"));
        }
        auto found = fetch(*step.key, place_of(step.key->kind, group_));
        if (!found && found.error().code != Code::not_found) {
            return std::unexpected(std::move(found).error());
        }
        before.push_back(found ? std::optional(*std::move(found)) : std::nullopt);
        if (!step.precondition) {
            continue;
        }
        if (step.precondition->absent && before.back()) {
            return std::unexpected(error(step.document != nullptr ? Code::already_exists : Code::conflict,
                                         "resource already exists: " + step.key->to_string()));
        }
        if (!step.precondition->absent && !before.back()) {
            return std::unexpected(missing(*step.key));
        }
        if (!step.precondition->absent && before.back()->revision != step.precondition->revision) {
            return std::unexpected(stale(*step.key, before.back()->revision, step.precondition->revision));
        }
    }
    Revision newest;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const Step& step = steps[i];
        const Place place = place_of(step.key->kind, group_);
        StoreResult<Revision> done = newest;
        const auto revision_of = [](StoreResult<Object> object) -> StoreResult<Revision> {
            return object ? StoreResult<Revision>(std::move(object->revision))
                          : std::unexpected(std::move(object).error());
        };
        if (step.document != nullptr && place.form == Form::endpoint && checks == Checks::own_fields_only) {
            if (!before[i]) {
                done = std::unexpected(missing(*step.key));
            } else {
                MANUL_TRY(const json::object document, parse_document(*step.key, *step.document));
                done = patch_pod(*step.key, place, *before[i], &document);
            }
        } else if (step.removes && place.form == Form::endpoint && checks == Checks::own_fields_only) {
            done = before[i] ? patch_pod(*step.key, place, *before[i], nullptr) : newest;
        } else if (step.document != nullptr && checks == Checks::own_fields_only && place.form != Form::node) {
            MANUL_TRY(json::object document, parse_document(*step.key, *step.document));
            done = revision_of(
                before[i] ? put(*step.key, place, std::move(document), before[i]->revision)
                          : write("POST", place.collection(step.key->ns), *step.key, place, std::move(document)));
        } else if (step.document != nullptr) {
            done = revision_of(before[i] ? update(*step.key, *step.document, before[i]->revision)
                                         : create(*step.key, *step.document));
        } else if (step.removes && before[i]) {
            done = revision_of(remove(*step.key, before[i]->revision));
        }
        if (!done) {
            StoreError failed = std::move(done).error();
            if (!newest.empty()) {
                failed.code = Code::unknown_result;
                failed.message +=
                    fmt::format("; of {} writes those before {} were done", steps.size(), step.key->to_string());
            }
            return std::unexpected(std::move(failed));
        }
        newest = *std::move(done);
    }
    return newest;
}

}  // namespace

std::unique_ptr<Store> open_kubernetes(KubernetesOptions options) {
    return std::make_unique<KubernetesStore>(std::move(options));
}

}  // namespace manul::store
