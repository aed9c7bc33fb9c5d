#pragma once

#include <unistd.h>

#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"

/// A store that is another one tomorrow.
namespace manul::test {

struct Object {
    model::Key key;
    std::string document;
};

inline Object object(model::Kind kind, const std::string& name, std::string_view spec) {
    return {model::Key{kind, {}, name},
            fmt::format(R"({{"apiVersion":"{}","kind":"{}","metadata":{{"name":"{}"}},"spec":{}}})",
                        model::api_version(kind), model::info(kind).name, name, spec)};
}

/// What a path or an address leads to: another store tomorrow, and away for a moment.
struct Place {
    std::unique_ptr<store::Store> store = store::make_memory();
    std::optional<model::Kind> fails_at;  ///< the next list of it
    std::function<void(model::Kind, store::Listing&)> shows = [](model::Kind, store::Listing&) {};
    std::optional<store::StoreError> watch_fails;  ///< the next take of a watch
    std::optional<store::StoreError> unfollowed;   ///< why watches do not follow everything

    void replace() { store = store::make_memory(); }
    void put(const Object& one) const { REQUIRE(store->create(one.key, one.document)); }
    void remove(const Object& one) const { REQUIRE(store->remove(one.key, std::nullopt)); }
};

class WatchAt final : public store::Watch {
public:
    WatchAt(Place& place, std::unique_ptr<store::Watch> watch) : place_(place), watch_(std::move(watch)) {}

    int fd() const noexcept override { return watch_->fd(); }
    store::StoreResult<std::vector<store::Event>> take() override {
        if (place_.watch_fails) {
            return std::unexpected(*std::exchange(place_.watch_fails, std::nullopt));
        }
        return watch_->take();
    }
    std::optional<store::StoreError> problem() override { return place_.unfollowed; }

private:
    Place& place_;
    std::unique_ptr<store::Watch> watch_;
};

class StoreAt final : public store::Store {
public:
    explicit StoreAt(Place& place) : place_(place) {}

    store::StoreResult<store::Object> get(const model::Key& key) override { return at().get(key); }
    store::StoreResult<store::Listing> list(const store::ListQuery& query) override {
        if (place_.fails_at == query.kind) {
            place_.fails_at.reset();
            return std::unexpected(store::StoreError{store::StoreError::Code::unavailable, "away", {}});
        }
        auto listing = at().list(query);
        if (listing) {
            place_.shows(query.kind, *listing);
        }
        return listing;
    }
    store::StoreResult<store::Object> create(const model::Key& key, std::string_view document) override {
        return at().create(key, document);
    }
    store::StoreResult<store::Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<store::Revision>& expected) override {
        return at().update(key, document, expected);
    }
    store::StoreResult<store::Object> remove(const model::Key& key,
                                             const std::optional<store::Revision>& expected) override {
        return at().remove(key, expected);
    }
    store::StoreResult<store::Revision> transact(std::span<const store::Op> ops, store::Checks checks) override {
        return at().transact(ops, checks);
    }
    bool transactional() const noexcept override { return true; }
    store::StoreResult<std::string> identity() override { return at().identity(); }
    store::StoreResult<std::unique_ptr<store::Watch>> watch(std::span<const store::WatchStart> starts) override {
        MANUL_TRY(auto watch, at().watch(starts));
        return std::make_unique<WatchAt>(place_, std::move(watch));
    }

private:
    [[nodiscard]] store::Store& at() const { return *place_.store; }

    Place& place_;
};

/// A directory that goes with the test.
struct RunDir {
    std::string path = "/tmp/manul-datastore-test-" + std::to_string(::getpid());

    RunDir() { std::filesystem::create_directories(path); }
    ~RunDir() { std::filesystem::remove_all(path); }
    RunDir(const RunDir&) = delete;
    RunDir& operator=(const RunDir&) = delete;
};

}  // namespace manul::test
