#include "ctl/verbs/watch.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ctl/verbs/interrupt.hpp"

namespace manul::ctl {

namespace {

using store::Event;
using store::Object;

constexpr int kRetryMilliseconds = 1000;

class Watcher {
public:
    Watcher(const Context& context, std::vector<Scope> scopes, Printer& printer)
        : context_(context), scopes_(std::move(scopes)), printer_(printer) {}

    /// The first lists. Named objects must be there.
    Result<void> begin(bool only_changes) {
        MANUL_CHECK(list());
        for (const Scope& scope : scopes_) {
            for (const model::Key& key : scope.keys) {
                if (std::ranges::none_of(known_, [&](const auto& one) { return one.first.name == key.name; })) {
                    return fail("resource does not exist: " + key.to_string());
                }
            }
        }
        if (only_changes) {
            untold_.clear();
        }
        return tell();
    }

    ExitCode follow(const Interrupt& interrupt) {
        std::string last_problem;
        while (true) {
            auto done = watch_ ? take() : list();
            if (!untold_.empty()) {
                last_problem.clear();
            }
            if (const auto told = tell(); !told) {
                return context_.fail(told.error().message);
            }
            const bool well = done.has_value();
            if (!well && done.error().message != std::exchange(last_problem, done.error().message)) {
                context_.err("manulctl: " + done.error().message + "\n");
            }
            if (context_.flush && !context_.flush()) {
                return ExitCode::failed;
            }
            const bool waits = well && watch_;
            if (interrupt.wait(waits ? watch_->fd() : -1, waits ? -1 : well ? 0 : kRetryMilliseconds)) {
                return ExitCode::ok;
            }
        }
    }

private:
    /// Lists everything, notes what differs from what was known, and watches from there.
    Result<void> list() {
        std::vector<store::WatchStart> starts;
        std::vector<Object> listed;  // in the order in which `get` shows them
        std::set<model::Key> now;
        std::vector<std::string> damaged;
        for (const Scope& scope : scopes_) {
            auto found = list_objects(*context_.store, scope, damaged);
            if (!found) {
                return fail(describe(found.error()));
            }
            starts.push_back({scope.kind, std::move(found->revision)});
            for (Object& object : found->objects) {
                now.insert(object.key);
                listed.push_back(std::move(object));
            }
        }
        auto watch = context_.store->watch(starts);
        if (!watch) {
            return fail(describe(watch.error()));
        }
        for (const std::string& line : damaged) {
            context_.err("manulctl: " + line + "\n");
        }
        const auto before = known_;
        for (const auto& [key, object] : before) {
            if (!now.contains(key)) {
                gone(key);
            }
        }
        for (const Object& object : listed) {
            seen(object);
        }
        watch_ = *std::move(watch);
        return {};
    }

    Result<void> take() {
        auto events = watch_->take();
        if (!events) {
            return fail(describe(events.error()));
        }
        for (const Event& event : *events) {
            const model::Key& key = event.object.key;
            const auto scope = std::ranges::find(scopes_, key.kind, &Scope::kind);
            if (event.type == Event::Type::resync) {
                watch_.reset();
                return {};
            }
            if (scope == scopes_.end()) {
                continue;
            }
            if (event.type == Event::Type::put && event.object.document && scope->covers(event.object)) {
                seen(event.object);
            } else {
                gone(key);
            }
        }
        return {};
    }

    void seen(const Object& object) {
        const auto [known, is_new] = known_.try_emplace(object.key, object);
        if (is_new || known->second.revision != object.revision) {
            known->second = object;
            untold_.push_back({is_new ? "ADDED" : "MODIFIED", object});
        }
    }

    void gone(const model::Key& key) {
        if (const auto known = known_.extract(key)) {
            untold_.push_back({"DELETED", known.mapped()});
        }
    }

    Result<void> tell() {
        for (ObjectChange& change : untold_) {
            MANUL_CHECK(mask_secret(change.object));
        }
        MANUL_TRY(const std::string text, printer_.print(untold_));
        untold_.clear();
        if (!text.empty()) {
            context_.print(text);
        }
        return {};
    }

    const Context& context_;
    std::vector<Scope> scopes_;
    Printer& printer_;
    std::map<model::Key, Object> known_;  ///< as it was when it was last seen
    std::unique_ptr<store::Watch> watch_;
    std::vector<ObjectChange> untold_;
};

}  // namespace

ExitCode watch_objects(const Context& context, const ObjectQuery& query, Printer& printer, bool only_changes) {
    const Interrupt interrupt;
    Scopes asked = scopes_of(context, query);
    if (!asked.errors.empty()) {
        return context.fail(asked.errors.front());
    }
    Watcher watcher(context, std::move(asked.scopes), printer);
    if (const auto begun = watcher.begin(only_changes); !begun) {
        return context.fail(begun.error().message);
    }
    return watcher.follow(interrupt);
}

}  // namespace manul::ctl
