#include "ipam/service/block_text.hpp"

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "config/codec/json.hpp"
#include "config/model/ipam_block.hpp"
#include "ipam/core/block.hpp"
#include "test/ipam/fake_source.hpp"
#include "test/ipam/now.hpp"

namespace manul::ipam {
namespace {

using test::kNow;

OwnerPtr make_owner(std::mt19937& random) {
    Owner owner;
    if (random() % 4 != 0) {
        owner.handle = R"(net."quoted]}}".)" + std::to_string(random());
    }
    for (std::size_t i = random() % 4; i > 0; --i) {
        owner.attributes["key" + std::to_string(random() % 9)] = R"({"attributes":[]}\ )" + std::to_string(random());
    }
    if (random() % 5 == 0) {
        owner.alternate["node"] = "other";
    }
    return std::make_shared<const Owner>(std::move(owner));
}

std::string plain(const Block& block, const model::Metadata& metadata) {
    model::IpamBlock resource;
    resource.metadata = metadata;
    resource.spec = block.to_model();
    return codec::encode(resource);
}

std::string joined(BlockText& text, const Block& block, const model::Metadata& metadata) {
    std::vector<OwnerPtr> owners;
    model::IpamBlock resource;
    resource.metadata = metadata;
    resource.spec = block.to_model(owners);
    return text.print(resource, owners);
}

TEST_CASE("a block that is joined from kept texts is, after each change, what the codec prints") {
    std::mt19937 random(20);
    BlockText text;
    model::Metadata metadata;
    metadata.name = "10-0-0-0-28";
    metadata.annotations = {{"note", R"("attributes":[)"}};
    for (int round = 0; round < 40; ++round) {
        Block block =
            Block::make(test::prefix("10.0.0.0/28"), round % 3 == 0 ? "" : "host:n1", kNow, round % 2 == 0 ? 0 : 7);
        OwnerPtr shared = make_owner(random);
        for (int step = 0; step < 40; ++step) {
            const auto ordinal = static_cast<Block::Ordinal>(random() % block.size());
            switch (random() % 4) {
                case 0:
                    (void)block.release(ordinal, std::nullopt, kNow, std::chrono::seconds(random() % 2 * 30));
                    break;
                case 1:
                    (void)block.allocate(shared, nullptr);
                    break;
                case 2:
                    (void)block.end_cooldown(kNow + std::chrono::seconds(60), std::chrono::seconds(30));
                    break;
                default:
                    (void)block.allocate_exact(ordinal, make_owner(random));
                    break;
            }
            block.count_write();
            REQUIRE(joined(text, block, metadata) == plain(block, metadata));
        }
    }
}

}  // namespace
}  // namespace manul::ipam
