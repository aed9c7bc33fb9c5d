#include "felix/nft/verify.hpp"

#include <catch2/catch.hpp>

#include "felix/render/nat.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::test {

TEST_CASE("a chain that nobody wants is a difference, unless it was left for translated connections") {
    const render::TableKey nat{net::Family::v4, render::TableId::nat};
    render::Ruleset wanted;
    wanted.tables[nat];
    nft::KernelContents kernel;
    kernel[nat].chains[render::kPostChain];
    CHECK(nft::verify(wanted, kernel).empty());
    kernel[nat].chains[render::kPostChain].rules.emplace_back();
    CHECK(nft::verify(wanted, kernel).size() == 1);
    kernel[nat].chains["extra"];
    CHECK(nft::verify(wanted, kernel).size() == 2);
}

}  // namespace manul::felix::test
