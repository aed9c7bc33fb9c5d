#pragma once

#include <poll.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/store.hpp"

/// What every backend must do the same way, and small documents to do it with.
namespace manul::test {

/// One way to have several Stores over one datastore.
struct StoreFixture {
    std::string name;
    /// A Store of the datastore, as a further process would open it.
    std::function<std::unique_ptr<store::Store>()> open;
    /// A Store of a datastore whose change log keeps 20 entries.
    std::function<std::unique_ptr<store::Store>()> open_small_log;
    /// The bare backend of a third, empty datastore.
    std::function<std::unique_ptr<store::Backend>()> backend;
};

/// Each call gives fresh, empty datastores.
[[nodiscard]] std::vector<StoreFixture> store_fixtures();

inline model::Key set_key(const std::string& name) { return {model::Kind::global_network_set, "", name}; }
inline model::Key reservation_key(const std::string& name) { return {model::Kind::ip_reservation, "", name}; }

inline std::string document(const model::Key& key, const std::string& spec, const std::string& metadata = "") {
    std::string text = R"({"apiVersion":")" + model::api_version(key.kind) + R"(","kind":")" +
                       std::string(model::info(key.kind).name) + R"(","metadata":{"name":")" + key.name + "\"";
    if (!key.ns.empty()) {
        text += R"(,"namespace":")" + key.ns + "\"";
    }
    return text + metadata + R"(},"spec":)" + spec + "}";
}

inline std::string set_document(const std::string& name, const std::string& net = "10.0.0.0/8") {
    return document(set_key(name), R"({"nets":[")" + net + "\"]}");
}

/// Events of the watch until `wanted` of them came, or a long time passed (a failure).
inline std::vector<store::Event> take(store::Watch& watch, std::size_t wanted) {
    using Clock = std::chrono::steady_clock;
    std::vector<store::Event> events;
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    while (events.size() < wanted && Clock::now() < deadline) {
        pollfd ready{watch.fd(), POLLIN, 0};
        ::poll(&ready, 1, 100);
        if (auto some = watch.take()) {
            events.insert(events.end(), some->begin(), some->end());
        }
    }
    return events;
}

}  // namespace manul::test

/// Runs the rest of a test case once over each backend.
#define FOR_EACH_STORE                                                   \
    const StoreFixture fixture = GENERATE(from_range(store_fixtures())); \
    CAPTURE(fixture.name);

/// A failed result shows its reason.
template <class T>
struct Catch::StringMaker<manul::store::StoreResult<T>> {
    static std::string convert(const manul::store::StoreResult<T>& result) {
        return result ? "a result" : "error: " + result.error().message;
    }
};
