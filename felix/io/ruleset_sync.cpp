#include "felix/io/ruleset_sync.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "felix/io/messages.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/nft/counters.hpp"
#include "felix/nft/isolate.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/transaction.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::io {

namespace {

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

std::string reason_of(const CommitResult& result) {
    if (result.outcome == CommitResult::Outcome::unknown) {
        return "the kernel's answer was lost";
    }
    constexpr std::size_t kShown = 3;
    std::vector<std::string> problems = result.problems;
    problems.resize(std::min(problems.size(), kShown));
    return fmt::format("{}", fmt::join(problems, "; "));
}

}  // namespace

Result<RulesetSync> RulesetSync::open() {
    MANUL_TRY(NftSocket socket, NftSocket::open_owner());
    MANUL_TRY(NftMonitor monitor, NftMonitor::open());
    return RulesetSync(std::move(socket), std::move(monitor));
}

Result<RulesetSync::Found> RulesetSync::start() {
    MANUL_TRY(const auto snapshot, socket_.read());
    generation_ = snapshot.generation;
    tracker_.adopt(snapshot.state);
    return Found{!snapshot.state.empty(), nft::class_groups(snapshot.state)};
}

// --- commits --------------------------------------------------------------------------------------------------------

RulesetSync::Commit RulesetSync::commit(nft::Scope scope) {
    bool overlapped = false;
    nft::Isolation result = nft::commit_what_goes(
        tracker_, scope, [&](nft::Transaction& transaction) { return attempt(transaction, overlapped); });
    report_withheld(result.withheld);
    pending_ = result.outcome != nft::Attempt::Outcome::done;
    if (pending_) {
        must_read_back_ = true;
        status_.problems = {result.reason};
    }
    return {!pending_, std::move(result.reason), overlapped};
}

nft::Attempt RulesetSync::attempt(nft::Transaction& transaction, bool& overlapped) {
    using Outcome = nft::Attempt::Outcome;
    carry_counters(transaction);
    const auto begin = std::chrono::steady_clock::now();
    const bool deaf = is_large(transaction);
    std::optional<std::uint32_t> heard_until;
    if (deaf) {
        if (const auto generation = socket_.generation()) {
            heard_until = *generation;
        }
        monitor_.leave();
    }
    const CommitResult result = socket_.commit(transaction);
    if (deaf) {
        monitor_.join();
    }
    const auto spent = std::chrono::steady_clock::now() - begin;
    status_.last_commit_us =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
    status_.commit_us_total += status_.last_commit_us;
    if (result.outcome != CommitResult::Outcome::done) {
        ++status_.failures;
        if (result.outcome == CommitResult::Outcome::unknown) {
            log::emit(kCommitUnknown);
        }
        return {is_lasting(transaction, result) ? Outcome::refused : Outcome::failed, result.command,
                reason_of(result)};
    }
    tracker_.committed(transaction, result.rules);
    counters_.committed();
    ++status_.commits;
    if (const auto generation = socket_.generation()) {
        generation_ = *generation;
    }
    if (deaf && generation_ != heard_until.value_or(0) + 1) {
        must_read_back_ = true;
        overlapped = true;
    }
    return {Outcome::done, std::nullopt, {}};
}

/// The kernel would refuse it again, because of an object in it.
bool RulesetSync::is_lasting(const nft::Transaction& transaction, const CommitResult& result) {
    // These say nothing about an object: no memory, interrupted, not permitted (an owner that is about to go).
    constexpr std::array kPassing{EPERM, ENOMEM, ENOBUFS, EAGAIN, EINTR};
    return result.outcome == CommitResult::Outcome::refused &&
           std::ranges::find(kPassing, result.error) == kPassing.end() && !is_overtaken(transaction, result);
}

/// A rule that is to be removed, or to be followed, is not there any more since somebody else was here.
bool RulesetSync::is_overtaken(const nft::Transaction& transaction, const CommitResult& result) {
    if (result.error != ENOENT || !result.command ||
        !std::holds_alternative<nft::EditChain>(transaction.at(*result.command))) {
        return false;
    }
    const auto generation = socket_.generation();
    return generation && *generation != generation_;
}

void RulesetSync::report_withheld(const std::vector<nft::Withheld>& withheld) {
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

void RulesetSync::release_withheld() {
    for (const auto& [object, reason] : withheld_) {
        tracker_.release(object);
    }
}

// --- counters -------------------------------------------------------------------------------------------------------

/// A count that cannot be read is no reason to hold back a change of policy: it starts again then.
void RulesetSync::carry_counters(nft::Transaction& transaction) {
    std::vector<std::pair<render::TableKey, nft::RuleCounter>> read;
    for (const auto& place : nft::CounterLedger::doomed(transaction)) {
        if (auto counters = socket_.counters(place.table, place.chain)) {
            for (nft::RuleCounter& counter : *counters) {
                read.emplace_back(place.table, std::move(counter));
            }
        }
    }
    counters_.carry(transaction, read);
}

Result<std::vector<nft::RuleCounter>> RulesetSync::counters() {
    MANUL_TRY(auto counters, socket_.counters());
    const auto kept = counters_.kept();
    counters.insert(counters.end(), kept.begin(), kept.end());
    return counters;
}

// --- what the kernel holds ------------------------------------------------------------------------------------------

Result<void> RulesetSync::prepare() {
    if (must_read_back_) {
        MANUL_CHECK(read_back());
    }
    read_rules();
    return {};
}

/// Compares everything with what the kernel really holds.
Result<void> RulesetSync::read_back() {
    MANUL_TRY(const auto snapshot, socket_.read());
    generation_ = snapshot.generation;
    tracker_.adopt(snapshot.state);
    compare_members();
    must_read_back_ = false;
    return {};
}

/// Chains that the start made, or a commit that was too large for answers, are read when they are first edited.
void RulesetSync::read_rules() {
    for (const nft::ObjectName& chain : tracker_.unread_chains()) {
        if (auto rules = socket_.rules(chain.table, chain.name); rules && *rules) {
            tracker_.adopt_rules(chain, **std::move(rules));
        }
    }
}

void RulesetSync::compare_members() {
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

// --- others ---------------------------------------------------------------------------------------------------------

bool RulesetSync::take_foreign_changes() {
    const NftMonitor::Heard heard = monitor_.take();
    std::string who = heard.who;
    if (heard.lost && who.empty()) {
        // Our own large commits overflow the buffer as well; the generation tells whether that was all.
        const auto generation = socket_.generation();
        if (generation && *generation == generation_) {
            return false;
        }
        who = "somebody";
    }
    if (who.empty()) {
        return false;
    }
    ++status_.drifts;
    log::emit(kForeignChange, who);
    must_read_back_ = true;
    return true;
}

bool RulesetSync::check_generation() {
    const auto generation = socket_.generation();
    if (generation && *generation == generation_) {
        return false;
    }
    must_read_back_ = true;
    return true;
}

}  // namespace manul::felix::io
