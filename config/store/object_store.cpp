#include "config/store/object_store.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
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
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/codec/secret.hpp"
#include "config/model/kind.hpp"
#include "config/store/admission.hpp"
#include "config/store/backend.hpp"
#include "config/store/built_in.hpp"
#include "config/store/document.hpp"
#include "config/store/messages.hpp"
#include "config/store/position.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace json = boost::json;
using Code = StoreError::Code;

namespace {

/// Attempts of one write against others' writes to the same keys.
constexpr int kAttempts = 30;

StoreError damaged(const model::Key& key) {
    return error(Code::corrupt, key.to_string() + " fails its checksum in the store; delete it and create it again");
}

StoreError not_found(const model::Key& key) {
    return error(Code::not_found, "resource does not exist: " + key.to_string());
}

StoreResult<Object> to_object(const Row& row) {
    if (!row.body) {
        return std::unexpected(damaged(row.key));
    }
    auto document = with_resource_version(*row.body, row.revision);
    if (!document) {
        return std::unexpected(error(Code::corrupt, row.key.to_string() + " is no JSON object in the store"));
    }
    return Object{row.key, row.revision, std::make_shared<const std::string>(*std::move(document))};
}

Birth make_birth() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return {make_uid(), format_timestamp(std::chrono::duration_cast<std::chrono::seconds>(now).count())};
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

    [[nodiscard]] std::optional<Revision> position() override { return position_of(*rows_); }

private:
    std::unique_ptr<Watch> rows_;
};

}  // namespace

struct ObjectStore::Plan {
    Snapshot before;
    std::vector<std::string> after;  ///< new body of each change; empty: nothing is written
    std::vector<Mutation> mutations;
    std::vector<PlannedWrite> writes;  ///< with views into `before`
    Revision revision;

    [[nodiscard]] bool changes_nothing() const {
        return std::ranges::all_of(mutations, [](const Mutation& m) { return m.type == Mutation::Type::check; });
    }
};

ObjectStore::ObjectStore(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

StoreResult<Object> ObjectStore::get(const model::Key& key) {
    initialise();
    MANUL_TRY(Snapshot snapshot, backend_->read(std::span(&key, 1)));
    if (!snapshot.rows.front()) {
        return std::unexpected(not_found(key));
    }
    return to_object(*snapshot.rows.front());
}

std::vector<StoreResult<Object>> ObjectStore::get_all(std::span<const model::Key> keys) {
    initialise();
    std::vector<StoreResult<Object>> out;
    out.reserve(keys.size());
    const auto snapshot = backend_->read(keys);
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
    initialise();
    MANUL_TRY(listed_identity_[query.kind], backend_->identity());
    MANUL_TRY(RowListing rows, backend_->scan(query));
    Listing listing;
    listing.revision = std::move(rows.revision);
    listing.items.reserve(rows.rows.size());
    for (Row& row : rows.rows) {
        if (auto object = to_object(row)) {
            listing.items.push_back(*std::move(object));
            row.body.reset();  // or a long list is in memory twice
        } else {
            log::emit(kRowDamaged, object.error().message);
            listing.damaged.push_back(DamagedObject{row.key, row.revision, std::move(object).error()});
        }
    }
    return listing;
}

StoreResult<Object> ObjectStore::create(const model::Key& key, std::string_view document) {
    std::vector<Change> changes{{Mutation::Type::put, key, std::string(document), Change::Need::absent, {}, {}}};
    MANUL_TRY(Plan plan, apply(changes, Checks::full));
    return to_object(Row{key, plan.revision, std::make_shared<const std::string>(std::move(plan.after.front()))});
}

StoreResult<Object> ObjectStore::update(const model::Key& key, std::string_view document,
                                        const std::optional<Revision>& expected) {
    std::vector<Change> changes{{Mutation::Type::put,
                                 key,
                                 std::string(document),
                                 expected ? Change::Need::revision : Change::Need::present,
                                 expected.value_or(""),
                                 {}}};
    MANUL_TRY(Plan plan, apply(changes, Checks::full));
    if (plan.after.front().empty()) {
        return to_object(*plan.before.rows.front());
    }
    return to_object(Row{key, plan.revision, std::make_shared<const std::string>(std::move(plan.after.front()))});
}

StoreResult<Object> ObjectStore::remove(const model::Key& key, const std::optional<Revision>& expected) {
    std::vector<Change> changes{{Mutation::Type::remove,
                                 key,
                                 {},
                                 expected ? Change::Need::revision : Change::Need::present,
                                 expected.value_or(""),
                                 {}}};
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
    const auto add = [&](Mutation::Type type, const model::Key& key, std::string document,
                         const std::optional<Precondition>& precondition) {
        Change change{type, key, std::move(document), Change::Need::any, {}, {}};
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
    initialise();
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
    std::set<model::Key> seen;
    for (const Change& change : changes) {
        bytes += change.document.size() + change.key.ns.size() + change.key.name.size();
        if (!seen.insert(change.key).second) {
            return std::unexpected(
                error(Code::invalid, change.key.to_string() + " is twice in one transaction; each key goes once"));
        }
        if (change.key.name.empty() || change.key.ns.empty() == model::info(change.key.kind).namespaced) {
            return std::unexpected(error(
                Code::invalid, fmt::format("{}: {}", change.key.to_string(),
                                           change.key.name.empty() ? "the name is empty"
                                           : change.key.ns.empty() ? "the kind needs a namespace"
                                                                   : "the kind is global and takes no namespace")));
        }
    }
    if (bytes > kMaxTransactionBytes) {
        return std::unexpected(
            error(Code::too_large,
                  fmt::format("a transaction takes at most {} bytes, this one has {}", kMaxTransactionBytes, bytes)));
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

StoreResult<ObjectStore::Wanted> ObjectStore::wanted(const Change& change, const Row* before, Checks checks) {
    const auto stored = before == nullptr ? std::nullopt : std::optional<std::string_view>(*before->body);
    if (checks == Checks::own_fields_only) {
        MANUL_TRY(std::string body, stamp_text(change.key, change.document, stored, change.birth));
        return Wanted{stored == body ? std::string() : std::move(body), nullptr};
    }
    std::string text = change.document;
    if (change.key.kind == model::Kind::secret) {
        auto completed = codec::completed_secret(text, stored);
        if (!completed) {
            return std::unexpected(error(Code::invalid, change.key.to_string() + ": " + completed.error().message));
        }
        text = *std::move(completed);
    }
    std::optional<json::object> parsed;
    if (stored) {
        MANUL_TRY(parsed, parse_document(change.key, *stored));
    }
    MANUL_TRY(Admitted admitted, admit_document(change.key, text, checks, stored.value_or("")));
    MANUL_CHECK(stamp(change.key, admitted.document, parsed ? &*parsed : nullptr, change.birth));
    return Wanted{parsed && admitted.document == *parsed ? std::string() : json::serialize(admitted.document),
                  std::move(admitted.resource)};
}

StoreResult<ObjectStore::Plan> ObjectStore::plan(std::span<const Change> changes, Snapshot before, Checks checks) {
    Plan plan;
    plan.before = std::move(before);
    plan.after.resize(changes.size());
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
            auto put = wanted(change, row ? &*row : nullptr, checks);
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
                mutation.body = put->body;
                plan.after[i] = std::move(put->body);
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

/// What must be there if every precondition holds; nothing where a change has none, or what it replaces is not known.
std::optional<Snapshot> ObjectStore::remembered(std::span<const Change> changes) const {
    static const auto kUnread = std::make_shared<const std::string>();
    Snapshot before;
    for (const Change& change : changes) {
        if (change.need == Change::Need::absent) {
            before.rows.emplace_back();
            continue;
        }
        if (change.need != Change::Need::revision) {
            return std::nullopt;
        }
        auto body = kUnread;
        if (change.type == Mutation::Type::put) {
            const auto known = written_.find(change.key);
            if (known == written_.end() || known->second.revision != change.revision) {
                return std::nullopt;
            }
            body = known->second.body;
        }
        before.rows.emplace_back(Row{change.key, change.revision, std::move(body)});
    }
    return before;
}

void ObjectStore::remember(std::span<const Change> changes, const Plan& plan) {
    if (written_.size() + changes.size() > kMaxWritten) {
        written_.clear();
    }
    for (std::size_t i = 0; i < changes.size(); ++i) {
        written_.erase(changes[i].key);
        if (changes[i].key.kind == model::Kind::ipam_block && !plan.after[i].empty()) {
            written_.emplace(changes[i].key,
                             Written{plan.revision, std::make_shared<const std::string>(plan.after[i])});
        }
    }
}

StoreResult<ObjectStore::Plan> ObjectStore::apply(std::span<Change> changes, Checks checks) {
    MANUL_CHECK(check_limits(changes));
    initialise();
    for (Change& change : changes) {
        if (change.type == Mutation::Type::put) {
            change.birth = make_birth();
        }
    }
    // The first attempt may go by what is remembered: if that is outdated, the commit finds out.
    std::optional<Snapshot> before = checks == Checks::own_fields_only ? remembered(changes) : std::nullopt;
    StoreError last;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const bool from_memory = before.has_value();
        if (!before) {
            MANUL_TRY(before, read(changes));
        }
        MANUL_TRY(Plan planned, plan(changes, *std::exchange(before, std::nullopt), checks));
        if (planned.changes_nothing()) {
            if (from_memory) {
                continue;  // the answer is the store's revision, which is not known
            }
            planned.revision = planned.before.revision;
            return planned;
        }
        Dependencies dependencies;
        if (checks == Checks::full) {
            MANUL_TRY(dependencies, admit_writes(*backend_, planned.writes));
        }
        std::ranges::move(dependencies.keys, std::back_inserter(planned.mutations));
        auto committed = backend_->commit(planned.mutations, dependencies.kinds);
        if (committed) {
            planned.revision = *std::move(committed);
            remember(changes, planned);
            return planned;
        }
        if (committed.error().code != Code::conflict) {
            written_.clear();
            return std::unexpected(std::move(committed).error());
        }
        last = std::move(committed).error();
    }
    return std::unexpected(std::move(last));
}

void ObjectStore::initialise() {
    if (initialised_) {
        return;
    }
    std::string guid = make_uid();
    std::erase(guid, '-');
    const std::vector<BuiltInObject> objects = built_in_objects(guid);
    std::vector<model::Key> keys;
    keys.reserve(objects.size());
    for (const BuiltInObject& object : objects) {
        keys.push_back(object.key);
    }
    const auto snapshot = backend_->read(keys);
    if (!snapshot) {
        return;
    }
    std::vector<Mutation> mutations;
    for (std::size_t i = 0; i < objects.size(); ++i) {
        auto document = parse_document(objects[i].key, objects[i].document);
        if (!snapshot->rows[i] && document && stamp(objects[i].key, *document, nullptr, make_birth())) {
            mutations.push_back(
                {Mutation::Type::put, objects[i].key, json::serialize(*document), Precondition{true, {}}});
        }
    }
    if (!mutations.empty()) {
        const auto committed = backend_->commit(mutations, {});
        if (!committed && committed.error().code != Code::conflict) {
            return;  // full, read-only or away: reading goes on without them
        }
    }
    initialised_ = true;
}

}  // namespace manul::store
