#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "config/model/kind.hpp"
#include "config/store/sqlite/crc32c.hpp"
#include "config/store/sqlite/database.hpp"
#include "config/store/sqlite/wakeup.hpp"
#include "test/config/sqlite_fixtures.hpp"

using manul::test::ScratchDirectory;
using namespace manul::store::sqlite;

namespace {

/// The revision that the socket was told, 0 when nothing came.
std::int64_t told(const WakeupSocket& socket) {
    std::array<std::uint8_t, 16> buffer{};
    if (::recv(socket.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT) != 8) {
        return 0;
    }
    std::int64_t revision = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        revision = revision << 8 | buffer[i];
    }
    return revision;
}

}  // namespace

TEST_CASE("the checksum is CRC-32C, whole or in parts") {
    CHECK(crc32c("") == 0);
    CHECK(crc32c("123456789") == 0xe3069283U);
    CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aaU);  // RFC 3720 appendix B.4
    CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43U);
    const std::string text = "the quick brown fox jumps over the lazy dog";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        CHECK(crc32c(text.substr(cut), crc32c(text.substr(0, cut))) == crc32c(text));
    }
}

TEST_CASE("a row's checksum covers every part of it") {
    const auto sum = row_checksum("k", "ns", "name", 7, "body");
    CHECK(sum == row_checksum("k", "ns", "name", 7, "body"));
    CHECK(sum != row_checksum("kn", "s", "name", 7, "body"));
    CHECK(sum != row_checksum("k", "nsn", "ame", 7, "body"));
    CHECK(sum != row_checksum("k", "ns", "name", 8, "body"));
    CHECK(sum != row_checksum("k", "ns", "name", 7, "bodY"));
}

TEST_CASE("every kind has a text of its own in the store") {
    using manul::model::Kind;
    CHECK(kind_text(Kind::pod) == "pods.core");
    CHECK(kind_text(Kind::network_policy) == "networkpolicies.projectcalico.org");
    CHECK(kind_text(Kind::kubernetes_network_policy) == "networkpolicies.networking.k8s.io");
    for (const auto& info : manul::model::all_kinds()) {
        CHECK(find_kind_text(kind_text(info.kind)) == info.kind);
    }
    CHECK(!find_kind_text("unknown.example.org"));
}

TEST_CASE("a socket's name begins with its node, also when the name has dashes or is long") {
    CHECK(node_of_socket(make_socket_name("node-a-1")) == "node-a-1");
    CHECK(node_of_socket(make_socket_name("")).empty());
    CHECK(make_socket_name(std::string(253, 'x')).size() < 80);
    CHECK(node_of_socket("strange").empty());
}

TEST_CASE("watchers are told the revision, dead ones are removed, strange files stay") {
    const ScratchDirectory scratch;
    const std::string directory = scratch.path() + "/store.db.watch";
    auto own = WakeupSocket::bind(directory, "a");
    auto other = WakeupSocket::bind(directory, "b");
    auto patient = WakeupSocket::bind(directory, patient_node("a"));  // of the own node, but told with the others
    REQUIRE(own);
    REQUIRE(other);
    REQUIRE(patient);
    // A process that was killed leaves its socket behind.
    const std::string dead = directory + "/c-1-00000000";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    dead.copy(std::data(address.sun_path), sizeof(address.sun_path) - 1);
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    ::close(fd);
    const std::string strange = directory + "/notes";
    std::ofstream(strange) << "text";
    {
        WakeupSender sender(directory, "a");
        sender.notify(0x0102030405060708);
        CHECK(told(*own) == 0x0102030405060708);  // before notify returned
        sender.notify(42);
        CHECK(told(*own) == 42);
    }
    std::int64_t last = 0;
    while (const std::int64_t revision = told(*other)) {
        last = revision;
    }
    CHECK(last == 42);  // at the latest when the sender went
    last = 0;
    while (const std::int64_t revision = told(*patient)) {
        last = revision;
    }
    CHECK(last == 42);
    CHECK(is_own_socket(make_socket_name("a-1")));
    CHECK_FALSE(is_own_socket("a-1-00000000"));
    CHECK_FALSE(is_own_socket("notes"));
    CHECK(!std::filesystem::exists(dead));
    CHECK(std::filesystem::exists(strange));
}

TEST_CASE(
    "a watcher that comes late to a directory that was quiet is told, and the writer's own process when it asks") {
    const ScratchDirectory scratch;
    const std::string directory = scratch.path() + "/store.db.watch";
    auto first = WakeupSocket::bind(directory, "a");
    REQUIRE(first);
    std::filesystem::last_write_time(directory, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    WakeupSender sender(directory, "a");
    for (std::int64_t revision = 1; revision < 4; ++revision) {
        sender.notify(revision);
        CHECK(told(*first) == revision);
    }
    auto second = WakeupSocket::bind(directory, "a");
    REQUIRE(second);
    sender.notify(4);
    CHECK(told(*first) == 4);
    CHECK(told(*second) == 4);
    sender.notify(5, false);
    CHECK(told(*first) == 0);
    CHECK(told(*second) == 0);
    std::filesystem::remove_all(directory);
    sender.notify(6);
    auto third = WakeupSocket::bind(directory, "a");
    REQUIRE(third);
    sender.notify(7);
    CHECK(told(*third) == 7);
}
