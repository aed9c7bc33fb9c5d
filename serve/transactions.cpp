#include "serve/transactions.hpp"

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/codec/managed_fields.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/namespaces.hpp"
#include "config/store/store.hpp"
#include "serve/write.hpp"

namespace manul::serve {

namespace json = boost::json;
using codec::Tree;

namespace {

struct Step {
    store::Op op;
    model::Key key;
    std::string verb;
    bool must_exist = false;
    std::string before;
};

Outcome<model::Key> key_from(const Tree& reference) {
    const auto kind = model::find_kind(reference.text_at("apiVersion"), reference.text_at("kind"));
    if (!kind) {
        return std::unexpected(bad_request("the transaction names an unknown kind: \"" +
                                           std::string(reference.text_at("apiVersion")) + "\" \"" +
                                           std::string(reference.text_at("kind")) + "\""));
    }
    const Tree* metadata = reference.find("metadata");
    const Tree& names = metadata == nullptr ? reference : *metadata;
    return model::Key{*kind, std::string(names.text_at("namespace")), std::string(names.text_at("name"))};
}

std::string verb_of_put(const std::optional<store::Precondition>& precondition, bool must_exist) {
    return precondition && precondition->absent ? "create" : precondition || must_exist ? "update" : "put";
}

Outcome<Step> step_from(const Tree& op) {
    std::optional<store::Precondition> precondition;
    bool must_exist = false;
    if (const Tree* given = op.find("precondition")) {
        must_exist = given->find("present") != nullptr;
        if (given->find("absent") != nullptr) {
            precondition = store::Precondition{true, {}};
        } else if (const std::string_view revision = given->text_at("resourceVersion"); !revision.empty()) {
            precondition = store::Precondition{false, std::string(revision)};
        } else if (!must_exist) {
            return std::unexpected(bad_request("a precondition is absent, present or resourceVersion"));
        }
    }
    if (const Tree* object = op.find("put")) {
        MANUL_TRY(const model::Key key, key_from(*object));
        return Step{store::Put{key, codec::to_json(*object), precondition},
                    key,
                    verb_of_put(precondition, must_exist),
                    must_exist,
                    {}};
    }
    if (const Tree* reference = op.find("remove")) {
        MANUL_TRY(const model::Key key, key_from(*reference));
        return Step{store::Remove{key, precondition}, key, "delete", must_exist, {}};
    }
    const Tree* reference = op.find("check");
    if (reference == nullptr || !precondition) {
        return std::unexpected(bad_request("an operation is put, remove, or check with a precondition"));
    }
    MANUL_TRY(const model::Key key, key_from(*reference));
    return Step{store::Check{key, *precondition}, key, "get", false, {}};
}

Outcome<void> authorise(const Access& access, const Step& step, const Tree* document, const Tree* stored) {
    const auto judge = [&](std::string_view verb) -> Outcome<void> {
        const bool allowed = access.may_with(verb, step.key, stored != nullptr ? stored : document) &&
                             (document == nullptr || access.may_with(verb, step.key, document));
        return allowed ? Outcome<void>() : std::unexpected(access.refusal(verb, step.key));
    };
    if (step.verb != "put") {
        return judge(step.verb);
    }
    MANUL_CHECK(judge("create"));
    return judge("update");
}

/// The store's error in its own words: the client at the other end is a store too.
Problem said_by_store(const store::StoreError& error, const model::Key& key) {
    Problem problem = problem_of(error, key);
    problem.message = error.message;
    problem.causes.clear();
    for (const std::string& line : error.details) {
        problem.causes.push_back({"FieldValueInvalid", line, {}});
    }
    return problem;
}

/// A single write that returns the object, as Store's own calls do.
Outcome<std::string> single(store::Store& store, const Step& step, std::string_view time) {
    const auto answer = [&](store::StoreResult<store::Object> done) -> Outcome<std::string> {
        if (!done) {
            return std::unexpected(said_by_store(done.error(), step.key));
        }
        return R"({"kind":"TransactionResult","apiVersion":"manul.io/v1","revision":)" +
               json::serialize(json::string(done->revision)) + R"(,"object":)" + *done->document + "}\n";
    };
    const auto revision = [](const std::optional<store::Precondition>& precondition) {
        return precondition ? std::optional(precondition->revision) : std::nullopt;
    };
    if (const auto* put = std::get_if<store::Put>(&step.op)) {
        return answer(step.verb == "create" ? store.create(put->key, put->document)
                                            : store.update(put->key, put->document, revision(put->precondition)));
    }
    const auto& remove = std::get<store::Remove>(step.op);
    if (step.key.kind == model::Kind::namespace_) {
        store::NamespaceEnd end;
        return answer(store::remove_namespace(store, step.key.name, revision(remove.precondition), time, end));
    }
    return answer(store.remove(step.key, revision(remove.precondition)));
}

void record(std::vector<AuditEntry>& audit, const std::vector<Step>& steps, const Problem* refused) {
    for (const Step& step : steps) {
        if (std::holds_alternative<store::Check>(step.op)) {
            continue;
        }
        const auto* put = std::get_if<store::Put>(&step.op);
        audit.push_back({step.verb == "put" ? "update" : step.verb,
                         step.key,
                         {},
                         refused == nullptr ? 200U : refused->code,
                         refused == nullptr ? "" : refused->message,
                         step.before,
                         put == nullptr || refused != nullptr ? std::string() : put->document});
    }
}

/// The owners are those of what is stored, so it must not change before the commit. Returns whether that precondition
/// is ours, not the client's.
Outcome<bool> record_owners(Step& step, const store::Object& stored, const TransactionWriter& by) {
    auto* put = std::get_if<store::Put>(&step.op);
    if (put == nullptr || !codec::has_owners(*stored.document)) {
        return false;
    }
    auto recorded = codec::with_recorded_update(step.key.kind, put->document, *stored.document, by.manager, by.time);
    if (!recorded) {
        return std::unexpected(bad_request(recorded.error().message));
    }
    put->document = *std::move(recorded);
    if (put->precondition) {
        return false;
    }
    put->precondition = store::Precondition{false, stored.revision};
    return true;
}

/// `guarded`: a conflict may be one that the client knows nothing of.
Outcome<std::string> run(store::Store& store, const Access& access, const Tree& body, const TransactionWriter& by,
                         std::vector<Step>& steps, bool& guarded) {
    const Action may_write{.verb = "create", .group = "manul.io", .resource = "transactions"};
    if (!access.rights().allows(access.caller(), may_write)) {
        return std::unexpected(Problem{.code = 403,
                                       .reason = "Forbidden",
                                       .message = "transactions.manul.io is forbidden: User \"" + access.caller().user +
                                                  "\" cannot create resource \"transactions\" "
                                                  "in API group \"manul.io\" at the cluster scope",
                                       .group = "manul.io",
                                       .kind = "transactions"});
    }
    const bool unchecked = body.text_at("checks") == "own_fields_only";
    const Action may_skip{.verb = "unchecked", .group = "manul.io", .resource = "transactions"};
    if (unchecked && !access.rights().allows(access.caller(), may_skip)) {
        return std::unexpected(Problem{.code = 403,
                                       .reason = "Forbidden",
                                       .message = "transactions.manul.io is forbidden: writes without checks need the "
                                                  "verb \"unchecked\" on transactions"});
    }
    const Tree* ops = body.find("ops");
    if (ops == nullptr || !ops->is_list()) {
        return std::unexpected(bad_request("ops: expected a list of operations"));
    }
    for (const Tree& op : ops->children) {
        MANUL_TRY(Step step, step_from(op));
        const Tree* document = op.find("put");
        const auto stored = store.get(step.key);
        std::optional<Tree> before;
        if (stored && stored->document) {
            step.before = *stored->document;
            if (auto tree = codec::parse_json(*stored->document)) {
                before = *std::move(tree);
            }
        }
        const auto allowed = authorise(access, step, document, before ? &*before : nullptr);
        steps.push_back(std::move(step));
        MANUL_CHECK(allowed);
        if (document != nullptr) {
            MANUL_CHECK(check_grants(access, steps.back().key, codec::to_json(*document)));
        }
        if (before) {
            MANUL_TRY(const bool ours, record_owners(steps.back(), *stored, by));
            guarded = guarded || ours;
        }
    }
    if (steps.size() == 1 && !unchecked && steps.front().verb != "get" && steps.front().verb != "put" &&
        (steps.front().verb != "delete" || steps.front().must_exist)) {
        return single(store, steps.front(), by.time);
    }
    std::vector<store::Op> list;
    list.reserve(steps.size());
    for (const Step& step : steps) {
        list.push_back(step.op);
    }
    const auto done = store.transact(list, unchecked ? store::Checks::own_fields_only : store::Checks::full);
    if (!done) {
        return std::unexpected(said_by_store(done.error(), steps.empty() ? model::Key{} : steps.front().key));
    }
    return json::serialize(
        json::object{{"kind", "TransactionResult"}, {"apiVersion", "manul.io/v1"}, {"revision", *done}});
}

}  // namespace

Outcome<Response> transaction(store::Store& store, const Access& access, const Tree& body, const TransactionWriter& by,
                              std::vector<AuditEntry>& audit) {
    constexpr int kAttempts = 20;
    std::vector<Step> steps;
    bool guarded = false;
    auto done = run(store, access, body, by, steps, guarded);
    for (int attempt = 1; !done && done.error().code == 409 && guarded && attempt < kAttempts; ++attempt) {
        steps.clear();
        guarded = false;
        done = run(store, access, body, by, steps, guarded);
    }
    record(audit, steps, done ? nullptr : &done.error());
    if (!done) {
        return std::unexpected(std::move(done).error());
    }
    return Response{.body = *std::move(done)};
}

}  // namespace manul::serve
