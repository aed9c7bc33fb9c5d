#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace manul::felix::render {

/// Which link group stands for which pair of egress and ingress class. Groups that are no longer used are given out
/// again only after the next settle(): until then links may still carry them.
class Groups {
public:
    using Pair = std::pair<std::string, std::string>;  ///< class chains: egress, ingress

    /// What an earlier run left in the kernel: the pair keeps its group, and no other pair gets it.
    void reserve(const Pair& pair, std::uint32_t group);

    struct Taken {
        std::uint32_t group;
        bool first;  ///< nobody used the pair before
    };
    [[nodiscard]] Taken acquire(const Pair& pair);
    /// True when nobody uses the pair any more.
    bool release(const Pair& pair);
    [[nodiscard]] std::uint32_t group_of(const Pair& pair) const { return used_.at(pair).group; }

    /// No link carries a group that was released before this call.
    void settle();

private:
    struct Use {
        std::uint32_t group = 0;
        std::size_t count = 0;
    };
    [[nodiscard]] std::uint32_t fresh();

    std::map<Pair, Use> used_;
    std::map<Pair, std::uint32_t> reserved_;
    std::vector<std::uint32_t> free_;
    std::vector<std::uint32_t> released_;
    std::uint32_t next_ = 0;  ///< offset from the first group
};

}  // namespace manul::felix::render
