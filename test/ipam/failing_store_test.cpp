#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "test/ipam/service_fixture.hpp"

// The datastore fails in every single step of an ADD and of a DEL, in every way in which it can.

namespace manul::ipam {
namespace {

using test::bare;
using test::Fixture;
using test::kBoot;
using test::kNow;

/// Another store, of which one call fails.
class FailingStore final : public store::Store {
public:
    enum class Way : std::uint8_t {
        unavailable,  ///< the call does nothing
        lost_answer,  ///< a write is carried out, but nobody is told
    };

    explicit FailingStore(store::Store& inner) : inner_(inner) {}

    void fail_call(std::size_t number, Way way) {
        calls_ = 0;
        failing_ = number;
        way_ = way;
    }
    void heal() { failing_ = 0; }
    [[nodiscard]] std::size_t calls() const noexcept { return calls_; }

    store::StoreResult<store::Object> get(const model::Key& key) override {
        return call(false, [&] { return inner_.get(key); });
    }
    store::StoreResult<store::Listing> list(const store::ListQuery& query) override {
        return call(false, [&] { return inner_.list(query); });
    }
    store::StoreResult<store::Object> create(const model::Key& key, std::string_view document) override {
        return call(true, [&] { return inner_.create(key, document); });
    }
    store::StoreResult<store::Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<store::Revision>& expected) override {
        return call(true, [&] { return inner_.update(key, document, expected); });
    }
    store::StoreResult<store::Object> remove(const model::Key& key,
                                             const std::optional<store::Revision>& expected) override {
        return call(true, [&] { return inner_.remove(key, expected); });
    }
    store::StoreResult<store::Revision> transact(std::span<const store::Op> ops, store::Checks checks) override {
        return call(true, [&] { return inner_.transact(ops, checks); });
    }
    bool transactional() const noexcept override { return true; }
    store::StoreResult<std::string> identity() override { return inner_.identity(); }
    store::StoreResult<std::unique_ptr<store::Watch>> watch(std::span<const store::WatchStart> starts) override {
        return inner_.watch(starts);
    }

private:
    template <class Work>
    auto call(bool writes, Work work) -> decltype(work()) {
        if (++calls_ != failing_) {
            return work();
        }
        if (way_ == Way::lost_answer && writes) {
            if (auto done = work(); !done) {
                return done;
            }
            return std::unexpected(store::StoreError{store::StoreError::Code::unknown_result, "timed out", {}});
        }
        return std::unexpected(store::StoreError{store::StoreError::Code::unavailable, "is away", {}});
    }

    store::Store& inner_;
    std::size_t calls_ = 0;
    std::size_t failing_ = 0;
    Way way_ = Way::unavailable;
};

/// Endpoints, handles and allocated addresses agree; returns how many there are.
std::size_t consistent(const Fixture& f) {
    std::set<std::string> used;
    for (const auto& endpoint : f.all<model::WorkloadEndpoint>()) {
        for (const net::Prefix& network : endpoint->spec.ip_networks) {
            CHECK(used.insert(network.address().to_string()).second);
        }
    }
    std::set<std::string> allocated;
    for (const auto& object : f.all<model::IpamBlock>()) {
        const auto block = Block::from_model(object->spec);
        REQUIRE(block);
        for (std::size_t i = 0; i < block->size(); ++i) {
            if (block->owner(static_cast<Block::Ordinal>(i))) {
                CHECK(allocated.insert(block->address(static_cast<Block::Ordinal>(i)).to_string()).second);
            }
        }
    }
    CHECK(used == allocated);
    CHECK(f.all<model::IpamHandle>().size() == used.size());
    return used.size();
}

TEST_CASE("a store that fails in any step of ADD or DEL leaves what was answered, and the next try goes on") {
    for (const auto way : {FailingStore::Way::unavailable, FailingStore::Way::lost_answer}) {
        std::size_t steps = 1;
        for (std::size_t failing = 1; failing <= steps; ++failing) {
            INFO("call " << failing);
            Fixture f("10.0.0.0/28", 30);
            FailingStore flaky(*f.store);
            Service service(flaky, {"n1", kBoot});
            REQUIRE(service.start());
            const std::vector<Request> pods{bare("a"), bare("b")};

            flaky.fail_call(failing, way);
            std::size_t good = 0;
            for (const AddResult& result : service.add(pods, kNow)) {
                CHECK((!result.answer.error || result.answer.error->code == 11));
                good += result.answer.error ? 0U : 1U;
            }
            steps = std::max(steps, flaky.calls());
            flaky.heal();
            CHECK(consistent(f) == good);  // one of two may have failed
            for (const AddResult& result : service.add(pods, kNow)) {
                CHECK_FALSE(result.answer.error);
            }
            CHECK(consistent(f) == 2);

            const std::vector<Release> releases{{"net", pods[0].attachment}, {"net", pods[1].attachment}};
            flaky.fail_call(failing, way);
            good = 0;
            for (const auto& result : service.release(releases, kNow)) {
                good += result ? 1U : 0U;
            }
            flaky.heal();
            CHECK(consistent(f) == 2 - good);
            for (const auto& result : service.release(releases, kNow)) {
                CHECK(result);
            }
            CHECK(consistent(f) == 0);
            // Whatever was answered, every address can be had again.
            std::vector<Request> all;
            for (int i = 0; i < 16; ++i) {
                all.push_back(bare("c" + std::to_string(i)));
            }
            for (const AddResult& result : service.add(all, kNow)) {
                CHECK_FALSE(result.answer.error);
            }
            CHECK(consistent(f) == 16);
        }
        CHECK(steps >= 4);
    }
}

}  // namespace
}  // namespace manul::ipam
