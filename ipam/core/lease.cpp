#include "ipam/core/lease.hpp"

namespace manul::ipam {

LeaseKeeper::Step LeaseKeeper::observe(const model::LeaseSpec* lease, const std::string& revision, SteadyTime now) {
    if (lease == nullptr || lease->holder_identity.empty()) {
        held_since_.reset();
        return Step::acquire;
    }
    if (!seen_since_ || revision != seen_revision_) {
        seen_revision_ = revision;
        seen_since_ = now;
    }
    if (lease->holder_identity == identity_) {
        // Ours, perhaps from before a restart: then it says nothing about now.
        return !held_since_ || now - *held_since_ >= kRenew ? Step::renew : Step::wait;
    }
    held_since_.reset();
    return now - *seen_since_ >= kTakeOver ? Step::acquire : Step::wait;
}

model::LeaseSpec LeaseKeeper::next(const model::LeaseSpec* lease, const std::string& timestamp) const {
    model::LeaseSpec out = lease == nullptr ? model::LeaseSpec{} : *lease;
    if (out.holder_identity != identity_) {
        out.lease_transitions += lease == nullptr ? 0U : 1U;
        out.holder_identity = identity_;
        out.acquire_time = timestamp;
    }
    out.lease_duration_seconds = static_cast<std::uint32_t>(kTakeOver.count());
    // A write that changes nothing is none, and would look like a holder that is gone (a clock may stand still).
    out.renew_time = out.renew_time == timestamp ? timestamp.substr(0, timestamp.find('.')) + ".000001Z" : timestamp;
    return out;
}

void LeaseKeeper::written(const std::string& revision, SteadyTime asked_at) {
    seen_revision_ = revision;
    seen_since_ = asked_at;
    held_since_ = asked_at;
}

}  // namespace manul::ipam
