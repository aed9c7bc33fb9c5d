#include "bgpd/rib/byte_pool.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

namespace {

using manul::bgp::rib::BytePool;

struct Held {
    std::uint8_t* piece;
    std::size_t size;
    std::uint8_t content;
};

}  // namespace

TEST_CASE("pieces of a byte pool of every size keep their content until they are released") {
    std::mt19937 random(5);  // NOLINT(cert-msc51-cpp)
    BytePool pool;
    std::vector<Held> held;
    const auto release_one = [&] {
        std::swap(held[random() % held.size()], held.back());
        const Held one = held.back();
        held.pop_back();
        REQUIRE(std::all_of(one.piece, one.piece + one.size, [&](std::uint8_t each) { return each == one.content; }));
        pool.release(one.piece, one.size);
    };
    for (int round = 0; round < 3; ++round) {  // between two rounds nothing is held: all memory is given back
        for (int step = 0; step < 20'000; ++step) {
            if (!held.empty() && random() % 5 < 2) {
                release_one();
                continue;
            }
            const std::size_t size = random() % 600;
            const auto content = static_cast<std::uint8_t>(random());
            std::uint8_t* const piece = pool.allocate(size);
            std::fill_n(piece, size, content);
            held.push_back({piece, size, content});
        }
        while (!held.empty()) {
            release_one();
        }
    }
}
