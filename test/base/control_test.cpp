#include "base/control.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace control = manul::control;
namespace json = boost::json;

namespace {

std::string socket_path() { return "/tmp/manul-control-test-" + std::to_string(::getpid()) + ".sock"; }

}  // namespace

TEST_CASE("a request is answered, also when the handler drops it, and the socket is root-only") {
    const std::string path = socket_path();
    boost::asio::io_context io;
    auto server = control::Server::listen(io, path, [](json::object request, control::Reply reply) {
        if (request.contains("echo")) {
            reply(json::object{{"answer", request["echo"]}});
        }
    });
    REQUIRE(server);
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0600);

    std::jthread loop([&io](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            io.run_for(std::chrono::milliseconds(20));
            io.restart();
        }
    });
    using namespace std::chrono_literals;
    const auto answer = control::call(path, {{"echo", "hello"}}, 5s);
    REQUIRE(answer);
    CHECK(json::serialize(*answer) == R"({"answer":"hello"})");
    CHECK(control::call(path, {{"drop", true}}, 5s).error().message == "the daemon is stopping; try again");

    boost::asio::io_context other;
    const auto second = control::Server::listen(other, path, [](json::object, control::Reply) {});
    REQUIRE_FALSE(second);
    CHECK(second.error().message.find("another process") != std::string::npos);

    REQUIRE(::unlink(path.c_str()) == 0);
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (::access(path.c_str(), F_OK) != 0 && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(20ms);
    }
    CHECK(control::call(path, {{"echo", "again"}}, 5s));
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0600);
    loop.request_stop();
    loop.join();
    server->reset();
    CHECK(::access(path.c_str(), F_OK) != 0);
}
