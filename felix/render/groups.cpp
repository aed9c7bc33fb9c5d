#include "felix/render/groups.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>

#include "felix/render/skeleton.hpp"

namespace manul::felix::render {

void Groups::reserve(const Pair& pair, std::uint32_t group) {
    if (group < kFirstGroup || group >= kEndGroup) {
        return;
    }
    reserved_[pair] = group;
    next_ = std::max(next_, group - kFirstGroup + 1);
}

Groups::Taken Groups::acquire(const Pair& pair) {
    Use& use = used_[pair];
    const bool first = use.count++ == 0;
    if (first) {
        const auto kept = reserved_.find(pair);
        use.group = kept != reserved_.end() ? kept->second : fresh();
        if (kept != reserved_.end()) {
            reserved_.erase(kept);
        }
    }
    return {use.group, first};
}

bool Groups::release(const Pair& pair) {
    const auto use = used_.find(pair);
    if (--use->second.count > 0) {
        return false;
    }
    released_.push_back(use->second.group);
    used_.erase(use);
    return true;
}

void Groups::settle() {
    free_.insert(free_.end(), released_.begin(), released_.end());
    released_.clear();
    // What an earlier run left and nobody asked for in the first complete batch is free as well.
    for (const auto& [pair, group] : reserved_) {
        free_.push_back(group);
    }
    reserved_.clear();
    std::ranges::sort(free_, std::greater{});
}

std::uint32_t Groups::fresh() {
    if (free_.empty()) {
        return kFirstGroup + next_++;
    }
    const std::uint32_t group = free_.back();
    free_.pop_back();
    return group;
}

}  // namespace manul::felix::render
