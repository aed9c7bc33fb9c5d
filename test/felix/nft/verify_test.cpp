#include "felix/nft/verify.hpp"

#include <catch2/catch.hpp>

#include "felix/nft/wire.hpp"
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

TEST_CASE("a set that the kernel does not have is missing, and not one that was too large to read") {
    const render::TableKey table{net::Family::v4, render::TableId::ingress};
    render::Ruleset wanted;
    const render::SetType type{{render::Field::source_address}, render::SetType::Shape::members};
    wanted.tables[table].sets["s_1"] = {type, nullptr, {}};
    wanted.tables[table].sets["s_2"] = {type, nullptr, {}};
    nft::KernelContents kernel;
    kernel[table].sets["s_1"].shape = type.shape;
    kernel[table].sets["s_1"].key_type = nft::key_type(net::Family::v4, type.fields);
    kernel[table].sets["s_1"].read = false;
    const auto differences = nft::verify(wanted, kernel);
    REQUIRE(differences.size() == 1);
    CHECK(differences.front().object == "set s_2");
    CHECK(differences.front().problem == "is missing");
    CHECK(nft::extent(wanted, kernel).sets == 2);
    CHECK(nft::extent(wanted, kernel).sets_not_read == 1);
}

}  // namespace manul::felix::test
