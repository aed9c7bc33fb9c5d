#include "config/store/object_store.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <expected>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/codec/managed_fields.hpp"
#include "config/codec/secret.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/admission.hpp"
#include "config/store/backend.hpp"
#include "config/store/built_in.hpp"
#include "config/store/document.hpp"
#include "config/store/messages.hpp"
#include "config/store/position.hpp"
#include "config/store/store.hpp"

namespace manul::store {

using Code = StoreError::Code;

namespace {

/// Attempts of one write against others' writes to the same keys.
constexpr int kAttempts = 30;

StoreError not_found(const model::Key& key) {
    return error(Code::not_found, "resource does not exist: " + key.to_string());
}

StoreResult<Object> to_object(const Row& row) {
    return object_of(row.key, row.revision, row.body ? std::optional<std::string_view>(*row.body) : std::nullopt);
}

std::string timestamp_now() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return format_timestamp(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

Precondition observed(const std::optional<Row>& row) {
    return row ? Precondition{false, row->revision} : Precondition{true, {}};
}

/// Fills in what only the backend's rows lack: metadata.resourceVersion.
class ObjectWatch final : public Watch, public Positioned {
public:
    explicit ObjectWatch(std::unique_ptr<Watch> rows) : rows_(std::move(rows)) {}

    [[nodiscard]] int fd() const noexcept override { return rows_->fd(); }

    [[nodiscard]] StoreResult<std::vector<Event>> take() override {
        MANUL_TRY(std::vector<Event> events, rows_->take());
        for (Event& event : events) {
            if (event.type == Event::Type::resync || !event.object.document) {
                continue;
            }
            auto document = with_resource_version(*event.object.document, event.object.revision);
            event.object.document = document ? std::make_shared<const std::string>(*std::move(document)) : nullptr;
        }
        return events;
    }

    [[nodiscard]] std::optional<StoreError> problem() override { return rows_->problem(); }
    [[nodiscard]] std::optional<Revision> position() override { return position_of(*rows_); }

private:
    std::unique_ptr<Watch> rows_;
};

}  // namespace

struct ObjectStore::Plan {
    Snapshot before;
    std::vector<Mutation> mutations;   ///< one of each change, then what the checks rely on
    std::vector<PlannedWrite> writes;  ///< with views into `before`
    Revision revision;
    std::shared_ptr<const std::string> first_body;  ///< what the first change put, after the commit

    /// The object as the first change leaves it.
    [[nodiscard]] Row first_after() const {
        return first_body ? Row{mutations.front().key, revision, first_body} : *before.rows.front();
    }
    [[nodiscard]] bool changes_nothing() const {
        return std::ranges::all_of(mutations, [](const Mutation& m) { return m.type == Mutation::Type::check; });
    }
};

ObjectStore::ObjectStore(std::unique_ptr<Backend> backend, std::string manager)
    : backend_(std::move(backend)), manager_(std::move(manager)) {}

StoreResult<Object> ObjectStore::get(const model::Key& key) {
    MANUL_CHECK(initialise());
    MANUL_TRY(std::optional<Row> row, backend_->find(key));
    if (!row) {
        return std::unexpected(not_found(key));
    }
    last_read_ = *std::move(row);
    return to_object(last_read_);
}

std::vector<StoreResult<Object>> ObjectStore::get_all(std::span<const model::Key> keys) {
    const auto ready = initialise();
    std::vector<StoreResult<Object>> out;
    out.reserve(keys.size());
    const auto snapshot = ready ? backend_->read(keys) : std::unexpected(ready.error());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (!snapshot) {
            out.emplace_back(std::unexpected(snapshot.error()));
        } else if (const std::optional<Row>& row = snapshot->rows[i]) {
            out.push_back(to_object(*row));
        } else {
            out.emplace_back(std::unexpected(not_found(keys[i])));
        }
    }
    return out;
}

StoreResult<Listing> ObjectStore::list(const ListQuery& query) {
    MANUL_CHECK(initialise());
    MANUL_TRY(listed_identity_[query.kind], backend_->identity());
    MANUL_TRY(Listing listing, backend_->scan(query));
    for (const DamagedObject& one : listing.damaged) {
        log::emit(kRowDamaged, one.error.message);
    }
    return listing;
}

StoreResult<Object> ObjectStore::create(const model::Key& key, std::string_view document) {
    std::vector<Change> changes{{Mutation::Type::put, key, document, Change::Need::absent, {}}};
    MANUL_TRY(Plan plan, apply(changes, Checks::full));
    return to_object(plan.first_after());
}

StoreResult<Object> ObjectStore::update(const model::Key& key, std::string_view document,
                                        const std::optional<Revision>& expected) {
    std::vector<Change> changes{{Mutation::Type::put, key, document,
                                 expected ? Change::Need::revision : Change::Need::present, expected.value_or("")}};
    MANUL_TRY(Plan plan, apply(changes, Checks::full));
    return to_object(plan.first_after());
}

StoreResult<Object> ObjectStore::remove(const model::Key& key, const std::optional<Revision>& expected) {
    std::vector<Change> changes{{Mutation::Type::remove,
                                 key,
                                 {},
                                 expected ? Change::Need::revision : Change::Need::present,
                                 expected.value_or("")}};
    MANUL_TRY(Plan plan, apply(changes, Checks::full));
    if (auto removed = to_object(*plan.before.rows.front())) {
        return removed;
    }
    // Deleting is the way to get rid of a damaged object: it must not fail for the damage.
    return Object{key, plan.before.rows.front()->revision, std::make_shared<const std::string>("{}")};
}

StoreResult<Revision> ObjectStore::transact(std::span<const Op> ops, Checks checks) {
    std::vector<Change> changes;
    changes.reserve(ops.size());
    const auto add = [&](Mutation::Type type, const model::Key& key, std::string_view document,
                         const std::optional<Precondition>& precondition) {
        Change change{type, key, document, Change::Need::any, {}};
        if (precondition) {
            change.need = precondition->absent ? Change::Need::absent : Change::Need::revision;
            change.revision = precondition->revision;
        }
        changes.push_back(std::move(change));
    };
    for (const Op& op : ops) {
        std::visit(overloaded{
                       [&](const Put& put) { add(Mutation::Type::put, put.key, put.document, put.precondition); },
                       [&](const Remove& remove) { add(Mutation::Type::remove, remove.key, {}, remove.precondition); },
                       [&](const Check& check) { add(Mutation::Type::check, check.key, {}, check.precondition); },
                   },
                   op);
    }
    MANUL_TRY(Plan plan, apply(changes, checks));
    return std::move(plan.revision);
}

StoreResult<std::string> ObjectStore::identity() {
    MANUL_CHECK(initialise());
    return backend_->identity();
}

StoreResult<std::unique_ptr<Watch>> ObjectStore::watch(std::span<const WatchStart> starts) {
    // A token of a store that was replaced since means nothing in the new one. Revisions are never negative, so an
    // empty start lets the backend end exactly those kinds.
    MANUL_TRY(const std::string identity, backend_->identity());
    std::vector<WatchStart> from(starts.begin(), starts.end());
    for (WatchStart& start : from) {
        const auto listed = listed_identity_.find(start.kind);
        if (listed != listed_identity_.end() && listed->second != identity) {
            start.revision.clear();
        }
    }
    MANUL_TRY(std::unique_ptr<Watch> rows, backend_->watch(from));
    return std::make_unique<ObjectWatch>(std::move(rows));
}

StoreResult<void> ObjectStore::check_limits(std::span<const Change> changes) {
    if (changes.size() > kMaxKeys) {
        return std::unexpected(
            error(Code::too_large,
                  fmt::format("a transaction takes at most {} keys, this one has {}", kMaxKeys, changes.size())));
    }
    std::size_t bytes = 0;
    std::vector<const model::Key*> keys;
    keys.reserve(changes.size());
    for (const Change& change : changes) {
        bytes += change.document.size() + change.key.ns.size() + change.key.name.size();
        keys.push_back(&change.key);
        if (change.key.name.empty() || change.key.ns.empty() == model::info(change.key.kind).namespaced) {
            return std::unexpected(error(
                Code::invalid, fmt::format("{}: {}", change.key.to_string(),
                                           change.key.name.empty() ? "the name is empty"
                                           : change.key.ns.empty() ? "the kind needs a namespace"
                                                                   : "the kind is global and takes no namespace")));
        }
    }
    std::ranges::sort(keys, [](const model::Key* a, const model::Key* b) { return *a < *b; });
    const auto twice =
        std::ranges::adjacent_find(keys, [](const model::Key* a, const model::Key* b) { return *a == *b; });
    if (twice != keys.end()) {
        return std::unexpected(
            error(Code::invalid, (*twice)->to_string() + " is twice in one transaction; each key goes once"));
    }
    if (bytes > kMaxTransactionBytes) {
        return std::unexpected(error(
            Code::too_large,
            fmt::format("{} at most {} bytes, this one has {}",
                        changes.size() == 1 ? "an object has" : "a transaction takes", kMaxTransactionBytes, bytes)));
    }
    return {};
}

StoreResult<void> ObjectStore::check_need(const Change& change, const std::optional<Row>& row) {
    switch (change.need) {
        case Change::Need::any:
            return {};
        case Change::Need::absent:
            if (row) {
                return std::unexpected(error(change.type == Mutation::Type::put ? Code::already_exists : Code::conflict,
                                             "resource already exists: " + change.key.to_string()));
            }
            return {};
        case Change::Need::present:
        case Change::Need::revision:
            if (!row) {
                return std::unexpected(not_found(change.key));
            }
            if (change.need == Change::Need::revision && row->revision != change.revision) {
                return std::unexpected(
                    error(Code::conflict, fmt::format("update conflict: {} is at revision {}, not {}",
                                                      change.key.to_string(), row->revision, change.revision)));
            }
            return {};
    }
    return {};
}

StoreResult<ObjectStore::Wanted> ObjectStore::wanted(const Change& change, const Row* before, Checks checks,
                                                     const std::string& now) const {
    const auto stored = before == nullptr ? std::nullopt : std::optional<std::string_view>(*before->body);
    const Birth birth{stored ? std::string() : make_uid(), now};
    const bool has_owners = !manager_.empty() && stored && codec::has_owners(*stored);
    const auto refused = [&](const Error& why) {
        return std::unexpected(error(Code::invalid, change.key.to_string() + ": " + why.message));
    };
    const auto recorded = [&](std::string_view text) {
        return codec::with_recorded_update(change.key.kind, text, *stored, manager_, now);
    };
    if (checks == Checks::own_fields_only) {
        MANUL_TRY(std::string body, stamp_text(change.key, change.document, stored, birth));
        if (has_owners) {
            auto with_owners = recorded(body);
            if (!with_owners) {
                return refused(with_owners.error());
            }
            body = *std::move(with_owners);
        }
        return Wanted{stored == body ? std::string() : std::move(body), nullptr};
    }
    std::string_view text = change.document;
    std::string secret;
    if (change.key.kind == model::Kind::secret) {
        auto completed = codec::completed_secret(text, stored);
        if (!completed) {
            return refused(completed.error());
        }
        secret = *std::move(completed);
        text = secret;
    }
    MANUL_TRY(Admitted admitted, admit_document(change.key, text, stored.value_or("")));
    if (has_owners) {
        auto with_owners = recorded(codec::to_json(admitted.document));
        auto parsed = with_owners ? codec::parse_json(*with_owners) : std::unexpected(with_owners.error());
        if (!parsed) {
            return refused(parsed.error());
        }
        admitted.document = *std::move(parsed);
    }
    MANUL_TRY(Stamped stamped, stamp(change.key, admitted.document, stored, birth));
    return Wanted{stamped.changes ? std::move(stamped.text) : std::string(), std::move(admitted.resource)};
}

StoreResult<ObjectStore::Plan> ObjectStore::plan(std::span<const Change> changes, Snapshot before,
                                                 Checks checks) const {
    const std::string now = timestamp_now();
    Plan plan;
    plan.before = std::move(before);
    plan.mutations.reserve(changes.size());
    std::vector<std::string> findings;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const Change& change = changes[i];
        const std::optional<Row>& row = plan.before.rows[i];
        MANUL_CHECK(check_need(change, row));
        Mutation mutation{Mutation::Type::check, change.key, {}, observed(row)};
        if (change.type == Mutation::Type::remove && row) {
            mutation.type = Mutation::Type::remove;
            plan.writes.push_back({change.key, row->body ? std::string_view(*row->body) : std::string_view{}, nullptr});
        } else if (change.type == Mutation::Type::put) {
            if (row && !row->body) {
                return std::unexpected(damaged(change.key));
            }
            auto put = wanted(change, row ? &*row : nullptr, checks, now);
            if (!put && put.error().code == Code::invalid) {  // all findings at once
                std::vector<std::string>& details = put.error().details;
                std::ranges::move(details, std::back_inserter(findings));
                if (details.empty()) {
                    findings.push_back(std::move(put.error().message));
                }
                continue;
            }
            if (!put) {
                return std::unexpected(std::move(put).error());
            }
            if (!put->body.empty()) {
                mutation.type = Mutation::Type::put;
                mutation.body = std::move(put->body);
                plan.writes.push_back({change.key, row ? std::optional<std::string_view>(*row->body) : std::nullopt,
                                       std::move(put->resource)});
            }
        }
        plan.mutations.push_back(std::move(mutation));
    }
    if (!findings.empty()) {
        return std::unexpected(invalid(std::move(findings)));
    }
    return plan;
}

StoreResult<Snapshot> ObjectStore::read(std::span<const Change> changes) {
    std::vector<model::Key> keys;
    keys.reserve(changes.size());
    for (const Change& change : changes) {
        keys.push_back(change.key);
    }
    return backend_->read(keys);
}

std::optional<Row> ObjectStore::recall(const Change& change, Checks checks) const {
    const bool wants_body = change.type == Mutation::Type::put ||
                            (change.type == Mutation::Type::remove && checks == Checks::full);  // remove() returns it
    if (!wants_body && change.need == Change::Need::revision) {
        static const auto unread = std::make_shared<const std::string>();
        return Row{change.key, change.revision, unread};
    }
    const auto written = written_.find(change.key);
    if (written != written_.end()) {
        return Row{change.key, written->second.revision, written->second.body};
    }
    return last_read_.body && last_read_.key == change.key ? std::optional(last_read_) : std::nullopt;
}

/// What is there if every precondition holds and nobody else wrote; nothing where that is not known.
std::optional<Snapshot> ObjectStore::recall(std::span<const Change> changes, Checks checks) const {
    Snapshot before;
    before.rows.reserve(changes.size());
    for (const Change& change : changes) {
        if (change.need == Change::Need::absent) {
            before.rows.emplace_back();
            continue;
        }
        auto row = recall(change, checks);
        if (!row || (change.need == Change::Need::revision && row->revision != change.revision)) {
            return std::nullopt;
        }
        before.rows.push_back(std::move(row));
    }
    return before;
}

void ObjectStore::remember(std::span<const Change> changes, Plan& plan) {
    last_read_ = {};
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (const auto known = written_.find(changes[i].key); known != written_.end()) {
            written_bytes_ -= known->second.body->size();
            written_.erase(known);
        }
        Mutation& mutation = plan.mutations[i];
        if (mutation.type != Mutation::Type::put) {
            continue;
        }
        const auto body = std::make_shared<const std::string>(std::move(mutation.body));
        if (i == 0) {
            plan.first_body = body;
        }
        if (body->size() > kLargestWritten) {
            continue;
        }
        if (written_bytes_ + body->size() > kMaxWrittenBytes) {
            written_.clear();
            written_bytes_ = 0;
        }
        written_.emplace(changes[i].key, Written{plan.revision, body});
        written_bytes_ += body->size();
    }
}

void ObjectStore::forget() {
    written_.clear();
    written_bytes_ = 0;
    last_read_ = {};
}

StoreResult<ObjectStore::Plan> ObjectStore::judged(std::span<const Change> changes, Snapshot before, Checks checks,
                                                   std::vector<KindUnchanged>& kinds) {
    MANUL_TRY(Plan planned, plan(changes, std::move(before), checks));
    if (checks == Checks::full && !planned.changes_nothing()) {
        MANUL_TRY(Dependencies dependencies, admit_writes(*backend_, planned.writes));
        std::ranges::move(dependencies.keys, std::back_inserter(planned.mutations));
        kinds = std::move(dependencies.kinds);
    }
    return planned;
}

StoreResult<ObjectStore::Plan> ObjectStore::apply(std::span<const Change> changes, Checks checks) {
    MANUL_CHECK(check_limits(changes));
    MANUL_CHECK(initialise());
    // The first attempt may go by what is remembered: if that is outdated, the commit finds out. Any other answer than
    // a commit is given by what is read.
    std::optional<Snapshot> before = recall(changes, checks);
    StoreError last;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const bool from_memory = before.has_value();
        if (!before) {
            MANUL_TRY(before, read(changes));
        }
        std::vector<KindUnchanged> kinds;
        auto judgement = judged(changes, *std::exchange(before, std::nullopt), checks, kinds);
        if (from_memory && (!judgement || judgement->changes_nothing())) {
            continue;
        }
        MANUL_TRY(Plan planned, std::move(judgement));
        if (planned.changes_nothing()) {
            planned.revision = planned.before.revision;
            return planned;
        }
        auto committed = backend_->commit(planned.mutations, kinds);
        if (committed) {
            planned.revision = *std::move(committed);
            remember(changes, planned);
            return planned;
        }
        forget();
        if (committed.error().code != Code::conflict) {
            return std::unexpected(std::move(committed).error());
        }
        last = std::move(committed).error();
    }
    return std::unexpected(std::move(last));
}

StoreResult<void> ObjectStore::initialise() {
    if (initialised_) {
        return {};
    }
    std::string guid = make_uid();
    std::erase(guid, '-');
    const std::vector<BuiltInObject> objects = built_in_objects(guid);
    std::vector<model::Key> keys;
    keys.reserve(objects.size());
    for (const BuiltInObject& object : objects) {
        keys.push_back(object.key);
    }
    MANUL_TRY(const Snapshot snapshot, backend_->read(keys));
    std::vector<Mutation> mutations;
    for (std::size_t i = 0; i < objects.size(); ++i) {
        if (snapshot.rows[i]) {
            continue;
        }
        MANUL_TRY(std::string body,
                  stamp_text(objects[i].key, objects[i].document, std::nullopt, {make_uid(), timestamp_now()}));
        mutations.push_back({Mutation::Type::put, objects[i].key, std::move(body), Precondition{true, {}}});
    }
    if (!mutations.empty()) {
        const auto committed = backend_->commit(mutations, {});
        if (!committed && committed.error().code != Code::conflict) {
            return {};  // full or read-only: reading goes on without them
        }
    }
    initialised_ = true;
    return {};
}

}  // namespace manul::store
