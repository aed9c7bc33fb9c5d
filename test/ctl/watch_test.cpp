#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "config/store/memory.hpp"
#include "ctl/verbs/verbs.hpp"

using namespace manul;
using namespace manul::ctl;

namespace {

/// `get --watch` in a thread of its own, over a store that the test writes through another one.
class Watching {
public:
    explicit Watching(store::MemoryOptions options = {}) : database_(store::make_memory_database(options)) {}
    ~Watching() {
        if (thread_.joinable()) {
            (void)stop();
        }
    }
    Watching(const Watching&) = delete;
    Watching& operator=(const Watching&) = delete;

    void put(const std::string& name, const std::string& spec, const std::string& labels = "{}") {
        const model::Key key{model::Kind::tier, "", name};
        const std::string document = R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":")" +
                                     name + R"(","labels":)" + labels + R"(},"spec":)" + spec + "}";
        const auto found = writer_->get(key);
        REQUIRE((found ? writer_->update(key, document, std::nullopt) : writer_->create(key, document)));
    }
    void remove(const std::string& name) { REQUIRE(writer_->remove({model::Kind::tier, "", name}, std::nullopt)); }

    void start(GetOptions options) {
        thread_ = std::thread([this, options = std::move(options)] {
            const auto store = store::make_memory(database_);
            const Context context{.settings = {},
                                  .store = store.get(),
                                  .out = [this](std::string_view text) { add(text); },
                                  .err = [this](std::string_view text) { add(text); },
                                  .read_standard_input = {}};
            code_ = get_objects(context, options);
        });
    }
    /// Waits until this was printed.
    [[nodiscard]] bool prints(const std::string& text) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(30),
                                 [&] { return printed_.find(text) != std::string::npos; });
    }
    [[nodiscard]] std::string printed() {
        const std::lock_guard lock(mutex_);
        return printed_;
    }
    /// While it is held, the watch waits in its next print.
    [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock(printing_); }

    [[nodiscard]] ExitCode stop() {
        ::raise(SIGINT);
        return end();
    }
    /// Of one that ends by itself.
    [[nodiscard]] ExitCode end() {
        thread_.join();
        return code_;
    }

private:
    void add(std::string_view text) {
        const std::lock_guard held(printing_);
        const std::lock_guard lock(mutex_);
        printed_ += text;
        changed_.notify_all();
    }

    std::shared_ptr<store::MemoryDatabase> database_;
    std::unique_ptr<store::Store> writer_ = store::make_memory(database_);
    std::mutex printing_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string printed_;
    ExitCode code_ = ExitCode::failed;
    std::thread thread_;
};

}  // namespace

TEST_CASE("a watch prints what there is, then each change, and ends well when it is interrupted") {
    Watching watching;
    watching.put("first", "{\"order\":1}");
    watching.start({.objects = {.words = {"tiers"}},
                    .format = "custom-columns=N:.metadata.name,O:.spec.order",
                    .watch = true,
                    .output_watch_events = true});
    REQUIRE(watching.prints("first"));
    watching.put("second", "{\"order\":2}");
    REQUIRE(watching.prints("second"));
    watching.put("first", "{\"order\":3}");
    watching.remove("second");
    REQUIRE(watching.prints("DELETED"));
    CHECK(watching.stop() == ExitCode::ok);
    const std::string printed = watching.printed();
    CHECK(printed.starts_with("EVENT   N"));
    CHECK(printed.find("first") < printed.find("default"));  // tiers in their order, as `get` shows them
    CHECK(printed.find("EVENT", 1) == std::string::npos);    // one heading
    std::istringstream words(printed.substr(printed.find("second") - std::string("ADDED   ").size()));
    std::string last;
    for (std::string word; words >> word;) {
        last += word + " ";
    }
    CHECK(last == "ADDED second 2 MODIFIED first 3 DELETED second 2 ");
}

TEST_CASE("a watch that fell behind lists again, tells what changed and nothing twice") {
    Watching watching({.change_log_limit = 2});
    watching.put("kept", "{\"order\":1}");
    watching.put("gone", "{\"order\":1}");
    watching.start({.objects = {.words = {"tiers"}}, .format = "name", .watch = true});
    REQUIRE(watching.prints("tier.projectcalico.org/kept\n"));
    {
        const auto held = watching.hold();
        watching.put("one", "{\"order\":1}");
        watching.remove("gone");
        for (int i = 0; i < 20; ++i) {
            watching.put("two", "{\"order\":" + std::to_string(i) + "}");
        }
    }
    REQUIRE(watching.prints("tier.projectcalico.org/two\n"));
    watching.put("last", "{\"order\":1}");
    REQUIRE(watching.prints("tier.projectcalico.org/last\n"));
    CHECK(watching.stop() == ExitCode::ok);
    const std::string printed = watching.printed();
    const auto times = [&](const std::string& name) {
        std::size_t count = 0;
        for (std::size_t at = printed.find(name); at != std::string::npos; at = printed.find(name, at + 1)) {
            ++count;
        }
        return count;
    };
    CHECK(times("/kept\n") == 1);
    CHECK(times("/gone\n") == 2);  // as it was, and that it is gone
    CHECK(times("/one\n") == 1);
}

TEST_CASE("a watch of a selection tells when objects enter and leave it") {
    Watching watching;
    watching.put("a", "{}", R"({"app":"web"})");
    watching.put("b", "{}", R"({"app":"db"})");
    watching.start({.objects = {.words = {"tiers"}, .labels = "app=web"},
                    .format = "json",
                    .watch_only = true,
                    .output_watch_events = true});
    watching.put("b", "{}", R"({"app":"web"})");
    // The watch may begin before or after that write; what follows is told in any case.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (int i = 0; i < 300 && watching.printed().find("MODIFIED") == std::string::npos; ++i) {
        watching.put("a", "{\"order\":" + std::to_string(i) + "}", R"({"app":"web"})");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    watching.put("a", "{}", R"({"app":"db"})");
    REQUIRE(watching.prints("\"type\": \"DELETED\""));
    CHECK(watching.stop() == ExitCode::ok);
}

TEST_CASE("a watch of what does not exist ends at once") {
    Watching watching;
    watching.start({.objects = {.words = {"tier", "absent"}}, .watch = true});
    CHECK(watching.end() == ExitCode::failed);
    CHECK(watching.printed() == "manulctl: resource does not exist: Tier(absent)\n");
}
