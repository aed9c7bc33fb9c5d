#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/daemon.hpp"
#include "base/log.hpp"
#include "felix/io/dataplane.hpp"
#include "felix/io/messages.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/nft/counters.hpp"
#include "felix/nft/isolate.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/transaction.hpp"
#include "felix/render/ruleset.hpp"

// Rules and the kernel: commits, what the kernel refuses, what others change.
namespace manul::felix::io {

namespace {

constexpr std::int64_t kRepairPauseUs = 200'000;

/// 0: never.
void arm(Timer& timer, std::chrono::milliseconds interval) {
    if (interval.count() > 0) {
        timer.after_us(std::chrono::microseconds(interval).count());
    } else {
        timer.cancel();
    }
}

/// Too large to be heard by oneself, see NftMonitor::leave().
bool is_large(const nft::Transaction& transaction) {
    constexpr std::size_t kLarge = 64;
    std::size_t objects = 0;
    for (const nft::Command& command : transaction) {
        if (const auto* fill = std::get_if<nft::FillChain>(&command)) {
            objects += fill->chain->rules().size();
        } else if (const auto* edit = std::get_if<nft::EditChain>(&command)) {
            objects += edit->insert.size() + edit->remove.size();
        } else if (const auto* add = std::get_if<nft::AddElements>(&command)) {
            objects += add->size();
        } else if (const auto* remove = std::get_if<nft::DeleteElements>(&command)) {
            objects += remove->elements.size();
        } else if (std::holds_alternative<nft::FlushSet>(command)) {
            objects += kLarge;  // who knows
        }
    }
    return objects >= kLarge;
}

}  // namespace

std::int64_t Dataplane::now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

bool Dataplane::commit(nft::Scope scope) {
    const nft::Isolation result =
        nft::commit_what_goes(tracker_, scope, [this](nft::Transaction& transaction) { return attempt(transaction); });
    report_withheld(result.withheld);
    commit_pending_ = result.outcome != nft::Attempt::Outcome::done;
    if (!commit_pending_) {
        return true;
    }
    must_read_back_ = true;
    status_.problems = {result.reason};
    retry_later([&](std::uint64_t pause_ms) { log::emit(kCommitRefused, pause_ms, result.reason); });
    return false;
}

nft::Attempt Dataplane::attempt(nft::Transaction& transaction) {
    using Outcome = nft::Attempt::Outcome;
    carry_counters(transaction);
    const std::int64_t before = now_us();
    const bool deaf = is_large(transaction);
    std::optional<std::uint32_t> heard_until;
    if (deaf) {
        if (const auto generation = nft_.generation()) {
            heard_until = *generation;
        }
        nft_monitor_.leave();
    }
    const CommitResult result = nft_.commit(transaction);
    if (deaf) {
        nft_monitor_.join();
    }
    status_.last_commit_us = static_cast<std::uint64_t>(now_us() - before);
    status_.commit_us_total += status_.last_commit_us;
    if (result.outcome == CommitResult::Outcome::done) {
        tracker_.committed(transaction, result.rules);
        counters_.committed();
        ++status_.commits;
        if (const auto generation = nft_.generation()) {
            generation_ = *generation;
        }
        if (deaf && generation_ != heard_until.value_or(0) + 1) {
            // Somebody else committed as well, perhaps into our tables: the next look tells.
            must_read_back_ = true;
            retry_.after_us(kRepairPauseUs);
        }
        return {Outcome::done, std::nullopt, {}};
    }
    ++status_.failures;
    constexpr std::size_t kShown = 3;
    std::vector<std::string> problems = result.problems;
    problems.resize(std::min(problems.size(), kShown));
    std::string reason = fmt::format("{}", fmt::join(problems, "; "));
    if (result.outcome == CommitResult::Outcome::unknown) {
        log::emit(kCommitUnknown);
        reason = "the kernel's answer was lost";
    }
    // These say nothing about an object: no memory, interrupted, not permitted (an owner that is about to go).
    constexpr std::array kPassing{EPERM, ENOMEM, ENOBUFS, EAGAIN, EINTR};
    const bool lasting = result.outcome == CommitResult::Outcome::refused &&
                         std::ranges::find(kPassing, result.error) == kPassing.end() &&
                         !is_overtaken(transaction, result);
    return {lasting ? Outcome::refused : Outcome::failed, result.command, std::move(reason)};
}

/// A rule that is to be removed, or to be followed, is not there any more since somebody else was here.
bool Dataplane::is_overtaken(const nft::Transaction& transaction, const CommitResult& result) {
    if (result.error != ENOENT || !result.command ||
        !std::holds_alternative<nft::EditChain>(transaction.at(*result.command))) {
        return false;
    }
    const auto generation = nft_.generation();
    return generation && *generation != generation_;
}

void Dataplane::report_withheld(const std::vector<nft::Withheld>& withheld) {
    for (const nft::Withheld& one : withheld) {
        const auto [known, is_new] = withheld_.try_emplace(one.object, one.reason);
        if (is_new || known->second != one.reason) {
            known->second = one.reason;
            log::emit(kObjectWithheld, nft::describe(one.object), one.reason);
        }
    }
    std::erase_if(withheld_, [this](const auto& entry) { return !tracker_.is_withheld(entry.first); });
    status_.problems.clear();
    for (const auto& [object, reason] : withheld_) {
        status_.problems.push_back(nft::describe(object) + ": " + reason);
    }
}

void Dataplane::check_overlay() {
    overlay_.look_again();
    overlay_.program();
    if (overlay_.has_failures()) {
        retry_.after_us(static_cast<std::int64_t>(options_.retry_last_us / 10));
    }
}

/// With the objects that were left out: the reason may have gone.
void Dataplane::try_again() {
    for (const auto& [object, reason] : withheld_) {
        tracker_.release(object);
    }
    if (overlay_.has_failures()) {
        overlay_.look_again();
    }
    synchronize();
}

/// A count that cannot be read is no reason to hold back a change of policy: it starts again then.
void Dataplane::carry_counters(nft::Transaction& transaction) {
    std::vector<std::pair<render::TableKey, nft::RuleCounter>> read;
    for (const auto& place : nft::CounterLedger::doomed(transaction)) {
        if (auto counters = nft_.counters(place.table, place.chain)) {
            for (nft::RuleCounter& counter : *counters) {
                read.emplace_back(place.table, std::move(counter));
            }
        }
    }
    counters_.carry(transaction, read);
}

/// Chains that the start made, or a commit that was too large for answers, are read when they are first edited.
void Dataplane::read_rules() {
    for (const nft::ObjectName& chain : tracker_.unread_chains()) {
        if (auto rules = nft_.rules(chain.table, chain.name); rules && *rules) {
            tracker_.adopt_rules(chain, **std::move(rules));
        }
    }
}

/// Compares everything with what the kernel really holds.
bool Dataplane::read_back() {
    const auto snapshot = nft_.read();
    if (!snapshot) {
        retry_later([&](std::uint64_t pause_ms) { log::emit(kReadBackFailed, pause_ms, snapshot.error().message); });
        return false;
    }
    generation_ = snapshot->generation;
    tracker_.adopt(snapshot->state);
    read_members();
    must_read_back_ = false;
    return true;
}

/// Contents of plain sets are compared; large ones are written anew, since reading takes longer than writing.
void Dataplane::read_members() {
    constexpr std::size_t kMostRead = 100'000;
    // A dump that is given up spoils its socket.
    std::optional<NftSocket> reader;
    for (const nft::ObjectName& set : tracker_.unread_sets(kMostRead)) {
        if (!reader) {
            auto opened = NftSocket::open();
            if (!opened) {
                return;  // all sets are written anew
            }
            reader.emplace(*std::move(opened));
        }
        const auto members = reader->members(set.table, set.name, kMostRead);
        if (members && *members) {
            tracker_.adopt_members(set, **members);
        } else {
            reader.reset();
        }
    }
}

void Dataplane::schedule_rules_refresh() { arm(refresh_rules_, renderer_.config().ruleset_refresh); }

void Dataplane::schedule_routes_refresh() { arm(refresh_routes_, renderer_.config().route_refresh); }

/// Nothing changes without a new generation.
void Dataplane::refresh_rules() {
    const auto generation = nft_.generation();
    if (!generation || *generation != generation_) {
        must_read_back_ = true;
        synchronize();
    }
    schedule_rules_refresh();
}

void Dataplane::refresh_routes() {
    if (const auto listed = routes_.list(); !listed) {
        log::emit(kListFailed, "routes", listed.error().message);
    } else if (in_sync_) {
        routes_.program();
        check_overlay();
        shaper_.check();
        shape();
    }
    schedule_routes_refresh();
}

void Dataplane::retry_later(const std::function<void(std::uint64_t)>& report) {
    report(retry_us_ / 1000);
    retry_.after_us(static_cast<std::int64_t>(retry_us_));
    retry_us_ = std::min(retry_us_ * 2, options_.retry_last_us);
}

// --- others ---------------------------------------------------------------------------------------------------------

void Dataplane::on_rules_changed() {
    const NftMonitor::Heard heard = nft_monitor_.take();
    std::string who = heard.who;
    if (heard.lost && who.empty()) {
        // Our own large commits overflow the buffer as well; the generation tells whether that was all.
        const auto generation = nft_.generation();
        if (generation && *generation == generation_) {
            return;
        }
        who = "somebody";
    }
    if (who.empty()) {
        return;
    }
    ++status_.drifts;
    log::emit(kForeignChange, who);
    must_read_back_ = true;
    // At once the first time; with somebody who keeps changing our tables, a few times a second.
    if (now_us() - repaired_us_ < kRepairPauseUs) {
        retry_.after_us(kRepairPauseUs);
        return;
    }
    repaired_us_ = now_us();
    synchronize();
}

}  // namespace manul::felix::io
