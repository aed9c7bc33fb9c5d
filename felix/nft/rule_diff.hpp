#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "felix/nft/tracker.hpp"
#include "felix/nft/transaction.hpp"

namespace manul::felix::nft {

/// Which rules of a chain stay in the kernel when the chain gets another content: a longest common sequence, by
/// fingerprint. What differs in the middle of very long chains is replaced as a whole.
class RuleDiff {
public:
    /// Both are used until the last call.
    RuleDiff(const std::vector<KernelChain::Rule>& have, const std::vector<std::uint64_t>& want);

    [[nodiscard]] bool keeps_any() const noexcept { return kept_ != 0; }
    [[nodiscard]] std::vector<KernelChain::Rule> removed() const;
    [[nodiscard]] std::vector<EditChain::Insertion> insertions() const;

private:
    void pair(std::size_t have, std::size_t want);

    const std::vector<KernelChain::Rule>& have_;
    std::vector<std::optional<std::size_t>> partners_;  ///< of each wanted rule
    std::size_t kept_ = 0;
};

}  // namespace manul::felix::nft
