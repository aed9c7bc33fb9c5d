#include "ipam/io/attachment_tracker.hpp"

namespace manul::ipam {

void AttachmentTracker::begin_add(const NetworkAttachment& of) {
    adding_.insert(of.first);
    // Earlier DELs say nothing about what this one makes.
    logged_.erase(of);
    ended_.erase(of);
    repeated_.erase(of);
}

void AttachmentTracker::end_add(const NetworkAttachment& of, bool succeeded) {
    if (const auto at = adding_.find(of.first); at != adding_.end()) {
        adding_.erase(at);
    }
    if (succeeded) {
        known_.insert_or_assign(of.first, of.second);
    }
}

void AttachmentTracker::log_del(const NetworkAttachment& of) {
    if (!is_adding(of.first)) {
        logged_.insert(of);
    }
}

std::vector<Request> AttachmentTracker::settle_del(const NetworkAttachment& of) {
    const auto& [attachment, network] = of;
    if (const auto at = ending_.find(attachment); at != ending_.end()) {
        ending_.erase(at);
    }
    if (const auto known = known_.find(attachment); known != known_.end() && known->second == network) {
        known_.erase(known);
    }
    std::vector<Request> again;
    if (is_ending(attachment)) {
        return again;
    }
    for (auto at = logged_.lower_bound({attachment, {}}); at != logged_.end() && at->first == attachment;
         at = logged_.erase(at)) {
        remember_ended(*at);
        if (auto repeated = repeated_.extract(*at)) {
            again.push_back(std::move(repeated.mapped()));
        }
    }
    return again;
}

bool AttachmentTracker::is_known(const Attachment& attachment) const {
    return known_.contains(attachment) || is_adding(attachment) || is_ending(attachment);
}

bool AttachmentTracker::is_of_another_network(const NetworkAttachment& of) const {
    const auto known = known_.find(of.first);
    return known != known_.end() && known->second != of.second;
}

void AttachmentTracker::remember_ended(const NetworkAttachment& of) {
    ended_.insert(of);
    ended_order_.push_back(of);
    if (ended_order_.size() > kEndedRemembered) {
        ended_.erase(ended_order_.front());
        ended_order_.pop_front();
    }
}

}  // namespace manul::ipam
