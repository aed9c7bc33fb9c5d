#include "felix/io/endpoint_mark.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "net/ip.hpp"

namespace {

using namespace manul;
using felix::io::EndpointMarks;
using Lefts = std::vector<EndpointMarks::Left>;

/// A directory that goes with the test.
struct MarksDirectory {
    std::string path = "/tmp/manul-marks-test-" + std::to_string(::getpid());

    ~MarksDirectory() { std::filesystem::remove_all(path); }

    [[nodiscard]] EndpointMarks open() const {
        auto marks = EndpointMarks::open(path);
        REQUIRE(marks);
        return *std::move(marks);
    }
    [[nodiscard]] bool has(const std::string& interface) const {
        return std::filesystem::exists(path + "/endpoints/" + interface);
    }
};

const std::vector<net::Ip> kOld{*net::Ip::parse("10.65.0.2"), *net::Ip::parse("fd65::2")};
const std::vector<net::Ip> kNew{*net::Ip::parse("10.65.0.3")};

}  // namespace

TEST_CASE("marks are written again into a run directory that somebody emptied") {
    const MarksDirectory run_dir;
    EndpointMarks marks = run_dir.open();
    marks.write("calia", "a1", "1", 7, kOld);
    std::filesystem::remove_all(run_dir.path + "/endpoints");
    marks.write("calib", "b1", "1", 8, kNew);
    CHECK(run_dir.has("calib"));
}

TEST_CASE("a mark says whose connections must end until they have ended") {
    const MarksDirectory run_dir;
    EndpointMarks marks = run_dir.open();
    CHECK(marks.clear().empty());
    marks.write("calia", "a1", "1", 7, kOld);
    REQUIRE(run_dir.has("calia"));
    Lefts expected;
    SECTION("of an endpoint that goes") {
        marks.remove("calia");
        CHECK_FALSE(run_dir.has("calia"));
        expected = {{"calia", "a1", kOld}};
    }
    SECTION("of one that comes again as another container") {
        marks.write("calia", "a2", "2", 8, kOld);
        expected = {{"calia", "a1", kOld}, {"calia", "a2", kOld}};
    }
    SECTION("of one whose addresses change") {
        marks.write("calia", "a1", "2", 7, kNew);
        expected = {{"calia", "a1", kOld}, {"calia", "a1", kNew}};
    }
    SECTION("but not of one that changes otherwise") {
        marks.write("calia", "a1", "2", 7, kOld);
        CHECK(marks.take_left().empty());
        expected = {{"calia", "a1", kOld}};
    }
    // Killed before, as often as may be: the next run finds all of it.
    for (int run = 0; run < 2; ++run) {
        EndpointMarks next = run_dir.open();
        const Lefts left = next.clear();
        CHECK(left.size() == expected.size());
        for (const EndpointMarks::Left& one : expected) {
            CHECK(std::ranges::find(left, one) != left.end());
        }
        CHECK_FALSE(run_dir.has("calia"));
    }
    EndpointMarks last = run_dir.open();
    CHECK(last.clear().size() == expected.size());
    last.forget_left(last.take_left());
    CHECK(last.clear().empty());
    CHECK(std::filesystem::is_empty(run_dir.path + "/endpoints"));
}
