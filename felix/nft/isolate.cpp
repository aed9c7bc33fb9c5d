#include "felix/nft/isolate.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/transaction.hpp"

namespace manul::felix::nft {

namespace {

/// More refused objects than this are no accident of one object.
constexpr std::size_t kMostWithheld = 64;

class Isolator {
public:
    Isolator(Tracker& tracker, Scope scope, const std::function<Attempt(Transaction&)>& attempt)
        : tracker_(tracker), scope_(scope), attempt_(attempt) {}

    Isolation run() {
        if (Transaction transaction = tracker_.take_over(); !transaction.empty()) {
            if (const Attempt attempt = attempt_(transaction); attempt.outcome != Attempt::Outcome::done) {
                return finished(attempt);
            }
        }
        while (result_.withheld.size() <= kMostWithheld) {
            Transaction transaction;
            const Attempt attempt = try_once(transaction);
            if (attempt.outcome != Attempt::Outcome::refused) {
                return finished(attempt);
            }
            const auto object = attempt.command ? object_of(transaction.at(*attempt.command)) : std::nullopt;
            if (object && !tracker_.is_withheld(*object)) {
                withhold(*object, attempt.reason);
            } else if (!search(transaction)) {
                return finished(attempt);
            }
        }
        result_.reason = "the kernel refuses many objects, the first of them " +
                         describe(result_.withheld.front().object) + ": " + result_.withheld.front().reason;
        return std::move(result_);
    }

private:
    Attempt try_once(Transaction& transaction) {
        transaction = tracker_.plan(scope_);
        return transaction.empty() ? Attempt{Attempt::Outcome::done, std::nullopt, {}} : attempt_(transaction);
    }

    Isolation finished(const Attempt& attempt) {
        result_.outcome = attempt.outcome;
        result_.reason = attempt.reason;
        return std::move(result_);
    }

    void withhold(const ObjectName& object, const std::string& reason) {
        tracker_.withhold(object);
        result_.withheld.push_back({object, reason});
    }

    /// The kernel named nothing. False: it does not lie with single objects.
    bool search(const Transaction& refused) {
        std::set<ObjectName> objects;
        for (const Command& command : refused) {
            if (const auto object = object_of(command); object && !tracker_.is_withheld(*object)) {
                objects.insert(*object);
            }
        }
        if (objects.empty()) {
            return false;
        }
        for (const ObjectName& object : objects) {
            tracker_.withhold(object);
        }
        Transaction rest;
        if (try_once(rest).outcome != Attempt::Outcome::done) {
            for (const ObjectName& object : objects) {
                tracker_.release(object);
            }
            return false;
        }
        const std::vector<ObjectName> suspects(objects.begin(), objects.end());
        return give_back(suspects);
    }

    /// All of `suspects` are withheld. Tries again what is not to blame; false when a try told nothing.
    bool give_back(std::span<const ObjectName> suspects) {
        if (suspects.empty()) {
            return true;
        }
        for (const ObjectName& object : suspects) {
            tracker_.release(object);
        }
        Transaction transaction;
        const Attempt attempt = try_once(transaction);
        if (attempt.outcome == Attempt::Outcome::done) {
            return true;
        }
        if (attempt.outcome == Attempt::Outcome::failed) {
            return false;
        }
        if (suspects.size() == 1) {
            withhold(suspects.front(), attempt.reason);
            return result_.withheld.size() <= kMostWithheld;
        }
        for (const ObjectName& object : suspects) {
            tracker_.withhold(object);
        }
        const std::size_t half = suspects.size() / 2;
        return give_back(suspects.first(half)) && give_back(suspects.subspan(half));
    }

    Tracker& tracker_;
    Scope scope_;
    const std::function<Attempt(Transaction&)>& attempt_;
    Isolation result_;
};

}  // namespace

std::optional<ObjectName> object_of(const Command& command) {
    using Name = std::optional<ObjectName>;
    const auto chain = [](const TableKey& table, const std::string& name, const ChainPtr& content) -> Name {
        return content->hook() ? Name{} : Name{{table, ObjectName::Kind::chain, name}};
    };
    const auto set = [](const TableKey& table, const std::string& name) -> Name {
        return ObjectName{table, ObjectName::Kind::set, name};
    };
    return std::visit(
        overloaded{
            [&](const AddChain& c) { return chain(c.table, c.name, c.chain); },
            [&](const FillChain& c) { return chain(c.table, c.name, c.chain); },
            [&](const EditChain& c) { return chain(c.table, c.name, c.chain); },
            [](const FlushChain& c) -> Name { return ObjectName{c.table, ObjectName::Kind::chain, c.name}; },
            [](const DeleteChain& c) -> Name { return ObjectName{c.table, ObjectName::Kind::chain, c.name}; },
            [&](const AddSet& c) { return set(c.table, c.name); },
            [&](const DeleteSet& c) { return set(c.table, c.name); },
            [&](const FlushSet& c) { return set(c.table, c.name); },
            [&](const AddElements& c) { return set(c.table, c.set); },
            [&](const DeleteElements& c) { return set(c.table, c.set); },
            [](const AddTable&) { return Name{}; },
            [](const DeleteTable&) { return Name{}; },
        },
        command);
}

Isolation commit_what_goes(Tracker& tracker, Scope scope, const std::function<Attempt(Transaction&)>& attempt) {
    return Isolator(tracker, scope, attempt).run();
}

}  // namespace manul::felix::nft
