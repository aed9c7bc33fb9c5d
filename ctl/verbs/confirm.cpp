#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "config/model/duration.hpp"
#include "config/rollback.hpp"
#include "ctl/verbs/verbs.hpp"

// apply --confirm-within, confirm and rollback.
namespace manul::ctl {

namespace {

using store::StoreError;

/// A felix that was just started must be able to see the change before its time is up; a day is a change that nobody
/// means to confirm.
constexpr std::chrono::seconds kShortest{5};
constexpr std::chrono::seconds kLongest{24 * 3600};
/// A transaction's keys, but for the record of what was there before.
constexpr std::size_t kMostObjects = 99;

ExitCode no_change_waits(const Context& context) {
    return context.fail("no change waits to be confirmed (it may have been confirmed or rolled back already)");
}

}  // namespace

ExitCode apply_revertibly(const Context& context, const std::vector<InputObject>& objects, const std::string& within) {
    const auto duration = model::Duration::parse(within);
    if (!duration || duration->seconds() < kShortest || duration->seconds() > kLongest) {
        context.fail("--confirm-within: expected a time from 5s to 24h, such as 2m, not '" + within + "'");
        return ExitCode::usage;
    }
    if (objects.size() > kMostObjects) {
        return context.fail("nothing was changed: --confirm-within takes at most " + std::to_string(kMostObjects) +
                            " objects, these are " + std::to_string(objects.size()));
    }
    std::vector<config::RevertibleWrite> writes;
    writes.reserve(objects.size());
    for (const InputObject& object : objects) {
        writes.push_back({object.key, object.document,
                          object.resource_version.empty() ? std::nullopt : std::optional(object.resource_version)});
    }
    const auto written = config::write_revertibly(*context.store, writes, duration->seconds());
    if (!written) {
        return context.fail("nothing was changed: " + describe(written.error()));
    }
    context.print("Applied " + std::to_string(objects.size()) + " resource(s); they are rolled back in " +
                  duration->to_string() + " unless you run: manulctl confirm\n");
    return ExitCode::ok;
}

ExitCode confirm_change(const Context& context) {
    const auto confirmed = config::confirm(*context.store);
    if (!confirmed) {
        return context.fail("the change is not confirmed: " + describe(confirmed.error()));
    }
    if (!*confirmed) {
        return no_change_waits(context);
    }
    context.print("Confirmed: the change stays\n");
    return ExitCode::ok;
}

ExitCode roll_back_change(const Context& context) {
    const auto pending = config::pending_rollback(*context.store);
    if (!pending) {
        return context.fail(describe(pending.error()));
    }
    if (!*pending) {
        return no_change_waits(context);
    }
    const auto left = config::roll_back(*context.store, **pending);
    if (!left) {
        return context.fail("the change is not rolled back: " + describe(left.error()));
    }
    for (const model::Key& key : *left) {
        context.print(key.to_string() + " was changed since and is left as it is\n");
    }
    context.print("Rolled back " + std::to_string((*pending)->objects.size() - left->size()) + " resource(s)\n");
    return ExitCode::ok;
}

}  // namespace manul::ctl
