#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <expected>
#include <iterator>
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
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/model/referenced_secret.hpp"
#include "config/model/resource.hpp"
#include "config/store/admission.hpp"
#include "config/store/document.hpp"
#include "config/store/kubernetes.hpp"
#include "config/store/kubernetes/api.hpp"
#include "config/store/kubernetes/documents.hpp"
#include "config/store/kubernetes/json_text.hpp"
#include "config/store/kubernetes/named_secrets.hpp"
#include "config/store/kubernetes/read_backend.hpp"
#include "config/store/kubernetes/session.hpp"
#include "config/store/kubernetes/watch.hpp"
#include "config/store/object_store.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace json = boost::json;
using namespace kubernetes;
using Code = StoreError::Code;
using model::Kind;

namespace {

/// Attempts of one write against others' writes to the same object.
constexpr int kAttempts = 30;

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

/// One part of a transaction: what was found, and what is to be there.
struct Step {
    const model::Key* key = nullptr;
    const std::string* document = nullptr;  ///< of a put
    bool removes = false;
    std::optional<Precondition> precondition;
    std::optional<Object> before;
    json::object after;
};

Step step_of(const Op& op) {
    return std::visit(
        overloaded{
            [](const Put& put) { return Step{&put.key, &put.document, false, put.precondition, {}, {}}; },
            [](const Remove& remove) { return Step{&remove.key, nullptr, true, remove.precondition, {}, {}}; },
            [](const Check& check) { return Step{&check.key, nullptr, false, check.precondition, {}, {}}; },
        },
        op);
}

class KubernetesStore final : public Store {
public:
    explicit KubernetesStore(KubernetesOptions options)
        : session_(std::move(options.kubeconfig), std::move(options.context), std::move(options.manager),
                   options.timeout) {}

    [[nodiscard]] StoreResult<Object> get(const model::Key& key) override {
        MANUL_CHECK(connect());
        MANUL_TRY(Translated found, fetch(key, place_of(key.kind, group_)));
        return to_object(std::move(found));
    }

    [[nodiscard]] StoreResult<Listing> list(const ListQuery& query) override {
        MANUL_CHECK(connect());
        const Place place = place_of(query.kind, group_);
        Listing listing;
        if (place.form == Form::derived) {
            return listing;
        }
        auto revision = read(listing, query, place, {});
        if (!revision && query.kind == Kind::secret && is_forbidden(revision.error()) &&
            query.ns.value_or(place.home) == place.home) {
            return list_named_secrets(query, place);
        }
        if (!revision && is_unknown_kind(revision.error())) {
            MANUL_CHECK(refuse_unknown_kind(query.kind, std::move(revision).error()));
            return Listing{};
        }
        if (!revision) {
            return std::unexpected(std::move(revision).error());
        }
        listing.revision = *std::move(revision);
        return listing;
    }

    [[nodiscard]] StoreResult<Object> create(const model::Key& key, std::string_view document) override {
        const Op op = Put{key, std::string(document), Precondition{true, {}}};
        return write_one(op);
    }

    [[nodiscard]] StoreResult<Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<Revision>& expected) override {
        for (int attempt = 1;; ++attempt) {
            std::optional<Revision> revision = expected;
            if (!revision) {
                MANUL_TRY(const Object found, get(key));
                revision = found.revision;
            }
            const Op op = Put{key, std::string(document), Precondition{false, *revision}};
            auto written = write_one(op);
            const bool lost = !written && written.error().code == Code::conflict;
            if (!lost || expected || attempt == kAttempts) {
                return written;
            }
        }
    }

    [[nodiscard]] StoreResult<Object> remove(const model::Key& key, const std::optional<Revision>& expected) override {
        MANUL_TRY(Object found, get(key));
        const Op op = Remove{key, expected ? std::optional(Precondition{false, *expected}) : std::nullopt};
        MANUL_CHECK(write_one(op));
        return found;
    }

    [[nodiscard]] StoreResult<Revision> transact(std::span<const Op> ops, Checks checks) override;

    [[nodiscard]] bool transactional() const noexcept override { return false; }

    [[nodiscard]] StoreResult<std::string> identity() override {
        MANUL_CHECK(connect());
        MANUL_TRY(const json::object system, session_.api().get(kIdentityPath));
        return text_at(object_at(system, "metadata"), "uid");
    }

    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override {
        MANUL_TRY(std::string cluster, identity());
        return open_watch(session_.http(), session_.api().access(), session_.server(), group_, std::move(cluster),
                          starts);
    }

private:
    [[nodiscard]] static StoreResult<void> check_precondition(const Step& step);
    /// Fills in what is to be written, or says everything that is wrong with it.
    [[nodiscard]] StoreResult<void> admit(std::span<Step> steps, Checks checks);
    [[nodiscard]] StoreResult<model::ResourcePtr> admit_one(Step& step, std::optional<std::string_view> before,
                                                            Checks checks);
    /// Reads, compares and checks everything; nothing is written.
    [[nodiscard]] StoreResult<std::vector<Step>> prepare(std::span<const Op> ops, Checks checks);
    [[nodiscard]] StoreResult<Object> carry_out(Step& step, Checks checks);
    [[nodiscard]] StoreResult<Object> write_one(const Op& op);

    /// Reads the credentials, and finds out which group of custom resources the cluster has.
    StoreResult<void> connect() {
        MANUL_CHECK(session_.connect());
        if (group_known_) {
            return {};
        }
        if (const char* given = std::getenv("CALICO_API_GROUP")) {
            group_ = std::string_view(given).starts_with("projectcalico.org") ? CalicoGroup::v3 : CalicoGroup::classic;
            group_known_ = true;
            return {};
        }
        MANUL_TRY(const json::object groups, session_.api().get("/apis"));
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

    static StoreResult<void> refuse_unknown_kind(Kind kind, StoreError refusal) {
        if (is_of_extension(kind)) {
            return {};
        }
        return std::unexpected(unknown_kind(kind, std::move(refusal)));
    }

    static StoreError stale(const model::Key& key, const Revision& found, const Revision& expected) {
        return error(Code::conflict,
                     fmt::format("update conflict: {} is at revision {}, not {}", key.to_string(), found, expected));
    }

    StoreResult<Revision> read(Listing& listing, const ListQuery& query, const Place& place, const Query& parameters) {
        const std::size_t before = listing.items.size();
        return session_.read_pages(
            place.collection(query.ns.value_or("")), parameters,
            [&](std::string_view page) { return add_items(listing, query, place, page); },
            [&] { listing.items.resize(before); });
    }

    /// Those that may not be read are not known to be absent.
    StoreResult<Listing> list_named_secrets(const ListQuery& query, const Place& place) {
        std::set<std::string> names;
        for (const Kind kind : model::kReferringKinds) {
            MANUL_TRY(const Listing referring, list({kind, std::nullopt, {}}));
            for (const Object& object : referring.items) {
                names.insert(named_secret(kind, *object.document));
            }
        }
        names.erase("");
        Listing listing;
        std::vector<NamedSecret> secrets;
        for (const std::string& name : names) {
            auto revision = read(listing, query, place, {{"fieldSelector", name_selector(name)}});
            if (revision) {
                secrets.push_back({name, *std::move(revision)});
            } else if (is_forbidden(revision.error())) {
                secrets.push_back({name, ""});
                listing.damaged.push_back({{Kind::secret, place.home, name}, {}, std::move(revision).error()});
            } else {
                return std::unexpected(std::move(revision).error());
            }
        }
        listing.revision = revision_of(secrets);
        return listing;
    }

    static StoreResult<json::object> add_items(Listing& listing, const ListQuery& query, const Place& place,
                                               std::string_view page) {
        MANUL_TRY(json::object answer, parse_answer(page));
        json::value* items = answer.if_contains("items");
        if (items == nullptr || !items->is_array()) {
            return object_at(answer, "metadata");
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
        return object_at(answer, "metadata");
    }

    StoreResult<Translated> fetch(const model::Key& key, const Place& place) {
        std::string name = key.name;
        if (place.form == Form::derived) {
            return std::unexpected(missing(key));
        }
        if (place.form == Form::endpoint) {
            const auto pod = pod_of_endpoint(key.name);
            if (!pod) {
                return std::unexpected(missing(key));
            }
            name = *pod;
        }
        auto answer = session_.api().get(place.object(key.ns, name));
        if (!answer) {
            if (is_unknown_kind(answer.error())) {
                MANUL_CHECK(refuse_unknown_kind(key.kind, answer.error()));
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

    StoreResult<Object> write(const std::string& method, const std::string& path, const model::Key& key,
                              const Place& place, json::object document) {
        // Fields that the server's schema does not have would be dropped without a word.
        auto answer = session_.api().write(method, path, {{"fieldValidation", "Strict"}},
                                           kubernetes::to_object(place, std::move(document)));
        if (!answer) {
            return std::unexpected(is_unknown_kind(answer.error()) ? unknown_kind(key.kind, answer.error())
                                                                   : answer.error());
        }
        return to_object(*to_document(key.kind, place, *std::move(answer)));
    }

    StoreResult<Object> erase(const model::Key& key, const Place& place, const Step& step) {
        json::object preconditions;
        if (step.precondition) {
            preconditions["resourceVersion"] = step.precondition->revision;
        }
        auto done =
            session_.api().write("DELETE", place.object(key.ns, key.name), {},
                                 {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", preconditions}});
        if (!done && done.error().code != Code::not_found) {
            return std::unexpected(std::move(done).error());
        }
        return Object{key, {}, nullptr};
    }

    StoreResult<Object> patch_node(const model::Key& key, const Place& place, const json::object& document,
                                   const Revision& revision) {
        json::object patch = node_patch(document);
        make_object(patch, "metadata")["resourceVersion"] = revision;
        MANUL_TRY(json::object answer,
                  session_.api().write("PATCH", place.object("", key.name), {}, patch, kMergePatch));
        return to_object(*to_document(key.kind, place, std::move(answer)));
    }

    /// Of a Service only the status is ever written by daemons, and that has a path and a right of its own.
    StoreResult<Object> patch_service_status(const model::Key& key, const Place& place, const json::object& document,
                                             const Revision& revision) {
        const json::object patch{{"metadata", json::object{{"resourceVersion", revision}}},
                                 {"status", object_at(document, "status")}};
        MANUL_TRY(json::object answer,
                  session_.api().write("PATCH", place.object(key.ns, key.name) + "/status", {}, patch, kMergePatch));
        return to_object(*to_document(key.kind, place, std::move(answer)));
    }

    /// Records an endpoint's addresses in its Pod, or takes them away (`document` null).
    StoreResult<Object> patch_pod(const model::Key& key, const Place& place, const Object& before,
                                  const json::object* document) {
        MANUL_TRY(const json::object known, parse_document(key, *before.document));
        const std::string uid = derived_uid(text_at(object_at(known, "metadata"), "uid"));
        json::object patch = endpoint_patch(known, document, uid);
        make_object(patch, "metadata")["resourceVersion"] = before.revision;
        MANUL_TRY(json::object answer,
                  session_.api().write("PATCH", place.object(key.ns, *pod_of_endpoint(key.name)) + "/status", {}, patch,
                                       kStrategicPatch));
        auto translated = to_document(key.kind, place, std::move(answer));
        if (!translated) {
            return std::unexpected(missing(key));
        }
        return to_object(*std::move(translated));
    }

    Session session_;
    CalicoGroup group_ = CalicoGroup::classic;
    bool group_known_ = false;
};

StoreResult<void> KubernetesStore::check_precondition(const Step& step) {
    if (!step.precondition) {
        return {};
    }
    if (step.precondition->absent) {
        if (!step.before) {
            return {};
        }
        return std::unexpected(error(step.document != nullptr ? Code::already_exists : Code::conflict,
                                     "resource already exists: " + step.key->to_string()));
    }
    if (!step.before) {
        return std::unexpected(missing(*step.key));
    }
    if (step.before->revision != step.precondition->revision) {
        return std::unexpected(stale(*step.key, step.before->revision, step.precondition->revision));
    }
    return {};
}

StoreResult<void> KubernetesStore::admit(std::span<Step> steps, Checks checks) {
    std::vector<std::string> findings;
    std::vector<PlannedWrite> writes;
    for (Step& step : steps) {
        const std::optional<std::string_view> before =
            step.before ? std::optional<std::string_view>(*step.before->document) : std::nullopt;
        if (step.removes && step.before) {
            writes.push_back({*step.key, before, nullptr});
        }
        if (step.document == nullptr) {
            continue;
        }
        auto admitted = admit_one(step, before, checks);
        if (!admitted) {
            std::vector<std::string>& details = admitted.error().details;
            if (admitted.error().code != Code::invalid) {
                return std::unexpected(std::move(admitted).error());
            }
            if (details.empty()) {
                findings.push_back(std::move(admitted.error().message));
            }
            std::ranges::move(details, std::back_inserter(findings));
            continue;
        }
        writes.push_back({*step.key, before, *std::move(admitted)});
    }
    if (!findings.empty()) {
        return std::unexpected(invalid(std::move(findings)));
    }
    if (checks == Checks::full) {
        ReadBackend backend(*this);
        MANUL_CHECK(admit_writes(backend, writes));
    }
    return {};
}

/// Sets `step.after`; returns its view, null without `Checks::full`.
StoreResult<model::ResourcePtr> KubernetesStore::admit_one(Step& step, std::optional<std::string_view> before,
                                                           Checks checks) {
    const Place place = place_of(step.key->kind, group_);
    if (checks == Checks::full || place.form != Form::endpoint) {
        MANUL_CHECK(refuse_write(*step.key, place, !before));
    }
    std::string text = *step.document;
    if (step.key->kind == Kind::secret) {
        auto completed = codec::completed_secret(text, before);
        if (!completed) {
            return std::unexpected(error(Code::invalid, step.key->to_string() + ": " + completed.error().message));
        }
        text = *std::move(completed);
    }
    model::ResourcePtr resource;
    if (checks == Checks::full) {
        MANUL_TRY(Admitted admitted, admit_document(*step.key, text, before.value_or("")));
        text = codec::to_json(admitted.document);
        resource = std::move(admitted.resource);
    }
    MANUL_TRY(step.after, parse_document(*step.key, text));
    const std::string uid = text_at(object_at(step.after, "metadata"), "uid");
    if (before && !uid.empty()) {
        MANUL_TRY(const json::object stored, parse_document(*step.key, *before));
        if (text_at(object_at(stored, "metadata"), "uid") != uid) {
            return std::unexpected(
                error(Code::conflict, "update conflict: " + step.key->to_string() + " was deleted and made again"));
        }
    }
    return resource;
}

StoreResult<std::vector<Step>> KubernetesStore::prepare(std::span<const Op> ops, Checks checks) {
    MANUL_CHECK(check_limits(ops));
    MANUL_CHECK(connect());
    std::vector<Step> steps;
    for (const Op& op : ops) {
        Step& step = steps.emplace_back(step_of(op));
        auto found = fetch(*step.key, place_of(step.key->kind, group_));
        if (!found && found.error().code != Code::not_found) {
            return std::unexpected(std::move(found).error());
        }
        if (found) {
            step.before = to_object(*std::move(found));
        }
        MANUL_CHECK(check_precondition(step));
    }
    MANUL_CHECK(admit(steps, checks));
    return steps;
}

/// The object after the step; without a document for one that was removed, and for a step that only checks.
StoreResult<Object> KubernetesStore::carry_out(Step& step, Checks checks) {
    const model::Key& key = *step.key;
    const Place place = place_of(key.kind, group_);
    Object unchanged = step.before.value_or(Object{key, {}, nullptr});
    if (step.removes) {
        if (!step.before) {
            return unchanged;
        }
        MANUL_CHECK(place.form == Form::endpoint ? patch_pod(key, place, *step.before, nullptr)
                                                 : erase(key, place, step));
        return unchanged;
    }
    if (step.document == nullptr) {
        return unchanged;
    }
    if (!step.before) {
        if (place.form == Form::endpoint) {
            return std::unexpected(missing(key));
        }
        json::object& metadata = make_object(step.after, "metadata");
        metadata.erase("resourceVersion");
        metadata.erase("uid");
        return write("POST", place.collection(key.ns), key, place, std::move(step.after));
    }
    if (codec::same_content(*step.before->document, json::serialize(step.after))) {
        return unchanged;
    }
    switch (place.form) {
        case Form::endpoint:
            return patch_pod(key, place, *step.before, &step.after);
        case Form::node:
            return patch_node(key, place, step.after, step.before->revision);
        case Form::plain:
        case Form::classic:
        case Form::derived:
            break;
    }
    if (key.kind == Kind::service && checks == Checks::own_fields_only) {
        return patch_service_status(key, place, step.after, step.before->revision);
    }
    make_object(step.after, "metadata")["resourceVersion"] = step.before->revision;
    return write("PUT", place.object(key.ns, key.name), key, place, std::move(step.after));
}

StoreResult<Object> KubernetesStore::write_one(const Op& op) {
    MANUL_TRY(std::vector<Step> steps, prepare(std::span(&op, 1), Checks::full));
    return carry_out(steps.front(), Checks::full);
}

StoreResult<Revision> KubernetesStore::transact(std::span<const Op> ops, Checks checks) {
    // Everything is read and compared before anything is written, so that a transaction that lost writes nothing.
    MANUL_TRY(std::vector<Step> steps, prepare(ops, checks));
    Revision newest;
    bool any_done = false;
    for (Step& step : steps) {
        auto done = carry_out(step, checks);
        if (!done) {
            StoreError failed = std::move(done).error();
            if (any_done) {
                failed.code = Code::unknown_result;
                failed.message +=
                    fmt::format("; of {} writes those before {} were done", steps.size(), step.key->to_string());
            }
            return std::unexpected(std::move(failed));
        }
        any_done |= step.document != nullptr || step.removes;
        if (step.document != nullptr || newest.empty()) {
            newest = std::move(done->revision);
        }
    }
    return newest;
}

}  // namespace

std::unique_ptr<Store> open_kubernetes(KubernetesOptions options) {
    return std::make_unique<KubernetesStore>(std::move(options));
}

}  // namespace manul::store
