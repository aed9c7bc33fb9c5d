#include "ipam/io/teardown.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/core.h>
#include <catch2/catch.hpp>

#include "base/unique_fd.hpp"
#include "ipam/io/abandoned.hpp"
#include "ipam/io/journal.hpp"

namespace manul::ipam {
namespace {

netlink::Link link(std::uint32_t index, std::string name, std::string alias) {
    netlink::Link out;
    out.index = index;
    out.name = std::move(name);
    out.alias = std::move(alias);
    return out;
}

std::vector<std::uint32_t> indexes(const std::vector<netlink::Link>& links) {
    std::vector<std::uint32_t> out;
    for (const netlink::Link& one : links) {
        out.push_back(one.index);
    }
    return out;
}

TEST_CASE("a deletion takes the links of its container and no other") {
    struct Row {
        std::string name;
        Deletion deletion;
        LinkClaims claims;
        std::vector<std::uint32_t> wanted;
    };
    const std::vector<netlink::Link> links{link(1, "lo", ""),        link(2, "caliaaa", "c1"), link(3, "calibbb", "c2"),
                                           link(4, "calibare", ""),  link(5, "mxl5", "c1"),    link(6, "eth0", "c1"),
                                           link(7, "calieth1", "c1")};
    const auto of = [](std::string container, std::string interface_name, bool known) {
        return Deletion{{"net", {std::move(container), "eth0"}}, std::move(interface_name), known};
    };
    const auto row = GENERATE_COPY(values<Row>({
        {"its own, and what was put aside", of("c1", "caliaaa", true), {{"caliaaa", "calieth1"}, {}}, {2, 5}},
        {"name now used by a newer container",
         of("c1", "calibbb", false),
         {{"calibbb", "calieth1", "caliaaa"}, {}},
         {5}},
        {"its name, but another network's attachment has it",
         of("c1", "caliaaa", false),
         {{"caliaaa", "calieth1"}, {}},
         {5}},
        {"by alias alone", of("c2", "", false), {}, {3}},
        {"unknown, without alias, nobody's", of("c9", "calibare", false), {}, {4}},
        {"without alias, but another's", of("c9", "calibare", false), {{"calibare"}, {}}, {}},
        {"without alias, but an ADD waits for it", of("c9", "calibare", false), {{}, {"calibare"}}, {}},
        {"known, without alias", of("c9", "calibare", true), {{"calibare"}, {}}, {4}},
        {"nothing there", of("c9", "caliccc", true), {}, {}},
        {"no name and no container", of("", "", false), {}, {}},
    }));
    CAPTURE(row.name);
    CHECK(indexes(links_of(row.deletion, links, row.claims)) == row.wanted);
}

TEST_CASE("a pod's link is unrecorded when no endpoint names both it and its container") {
    std::vector<netlink::Link> links{link(1, "lo", ""),       link(2, "caliaaa", "c1"), link(3, "calibbb", "new"),
                                     link(4, "caliccc", ""),  link(5, "caliddd", "c4"), link(6, "eth0", "c1"),
                                     link(7, "mxl7", "gone"), link(8, "mxl8", "c8")};
    links[6].group = kDoomedGroup;
    const std::vector<KnownAttachment> known{
        {"net", {"c1", "eth0"}, "caliaaa"}, {"net", {"c3", "eth0"}, "calibbb"}, {"net", {"c3", "eth0"}, "caliccc"}};
    CHECK(indexes(unrecorded_links(known, links)) == std::vector<std::uint32_t>{3, 5, 8});
    CHECK(indexes(unrecorded_links({}, links)) == std::vector<std::uint32_t>{2, 3, 5, 8});
}

TEST_CASE("only the predecessor's link is put aside") {
    struct Row {
        std::string name;
        std::string alias;
        std::string old;
        bool follows_pod;
        bool wanted;
    };
    const auto row = GENERATE(values<Row>({
        {"caliaaa", "old", "old", false, true},
        {"caliaaa", "other", "old", false, false},
        {"caliaaa", "", "old", false, false},
        {"caliaaa", "", "", false, false},
        {"caliaaa", "other", "old", true, true},  // the record of its container went with an earlier Pod
        {"caliaaa", "other", "", true, true},
        {"caliaaa", "new", "", true, false},  // the plugin was faster
        {"caliaaa", "", "", true, false},
        {"eth0", "other", "", true, false},
    }));
    CAPTURE(row.name, row.alias, row.old, row.follows_pod);
    CHECK(may_put_aside(link(2, row.name, row.alias), {row.old, "eth0"}, {"new", "eth0"}, row.follows_pod) ==
          row.wanted);
    CHECK(aside_name(4294967295U).size() <= 15);
}

TEST_CASE("an attachment dies with its link after the grace period, or at once with its boot") {
    Presence presence;
    const SteadyTime start{};
    const KnownAttachment here{"net", {"c1", "eth0"}, "caliaaa", true};
    const KnownAttachment gone{"net", {"c2", "eth0"}, "calibbb", true};
    const KnownAttachment replaced{"net", {"c3", "eth0"}, "caliccc", true};
    const KnownAttachment old_boot{"net", {"c4", "eth0"}, "caliddd", false};
    const std::vector<KnownAttachment> all{here, gone, replaced, old_boot};
    const std::vector<netlink::Link> links{link(2, "caliaaa", "c1"), link(3, "caliccc", "newer"),
                                           link(4, "caliddd", "c4")};
    CHECK(presence.observe(all, links, start) == std::vector<Release>{{"net", {"c4", "eth0"}}});
    const std::vector<KnownAttachment> left{here, gone, replaced};
    CHECK(presence.observe(left, links, start + Presence::kGrace - std::chrono::seconds{1}).empty());
    CHECK(presence.observe(left, links, start + Presence::kGrace) ==
          std::vector<Release>{{"net", {"c2", "eth0"}}, {"net", {"c3", "eth0"}}});
}

TEST_CASE("a link that comes back in time starts the grace period anew") {
    Presence presence;
    const SteadyTime start{};
    const std::vector<KnownAttachment> all{{"net", {"c1", "eth0"}, "caliaaa", true}};
    const std::vector<netlink::Link> links{link(2, "caliaaa", "")};
    CHECK(presence.observe(all, {}, start).empty());
    CHECK(presence.observe(all, links, start + std::chrono::seconds{30}).empty());
    CHECK(presence.observe(all, {}, start + Presence::kGrace).empty());
}

struct TemporaryDirectory {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / fmt::format("manul-ipam-journal-{}", ::getpid());
    TemporaryDirectory() { std::filesystem::create_directories(path); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

Request del(const std::string& container) {
    Request request;
    request.op = Op::del;
    request.network = "net";
    request.attachment = {container, "eth0"};
    return request;
}

TEST_CASE("the log of DELs holds what is not done, over restarts and torn writes") {
    const TemporaryDirectory directory;
    const std::string path = directory.path / "log";
    {
        auto log = DeleteLog::open(path);
        REQUIRE(log);
        const std::vector<Request> requests{del("a"), del("b"), del("c")};
        const auto ids = log->append(requests);
        REQUIRE(ids);
        REQUIRE(ids->size() == 3);
        log->done(std::vector<std::uint64_t>{(*ids)[1]});
    }
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        std::string text(std::istreambuf_iterator<char>(file), {});
        file.seekp(static_cast<std::streamoff>(text.find('\0')));
        file << "D 17 {\"version\":1,\"op\":\"d";  // the power failed here
        file.seekp(8192);                          // and some page of the same write had come to the disk before
        file << "D 18 " << encode(del("never answered")) << '\n';
    }
    auto log = DeleteLog::open(path);
    REQUIRE(log);
    REQUIRE(log->pending().size() == 2);
    CHECK(log->pending().begin()->second == del("a"));
    const auto more = log->append(std::vector<Request>{del("d")});
    REQUIRE(more);
    const auto again = DeleteLog::open(path);
    REQUIRE(again);
    REQUIRE(again->pending().size() == 3);
    CHECK(again->pending().rbegin()->second == del("d"));
}

TEST_CASE("a log that grew is replaced by what is pending") {
    const TemporaryDirectory directory;
    const std::string path = directory.path / "log";
    auto log = DeleteLog::open(path);
    REQUIRE(log);
    REQUIRE(log->append(std::vector<Request>{del("stays")}));
    const std::vector<Request> many(2000, del(std::string(200, 'x')));
    for (int i = 0; i < 4; ++i) {
        const auto ids = log->append(many);
        REQUIRE(ids);
        log->done(*ids);
    }
    REQUIRE(log->append(std::vector<Request>{del("last")}));
    CHECK(std::filesystem::file_size(path) == std::size_t{1} << 20U);
    const auto again = DeleteLog::open(path);
    REQUIRE(again);
    REQUIRE(again->pending().size() == 2);
    CHECK(again->pending().begin()->second == del("stays"));
}

TEST_CASE("a log whose releases wait is begun anew less and less often, and keeps them all") {
    const TemporaryDirectory directory;
    const std::string path = directory.path / "log";
    constexpr std::size_t kRounds = 20;
    const std::vector<Request> many(500, del(std::string(200, 'x')));
    {
        auto log = DeleteLog::open(path);
        REQUIRE(log);
        for (std::size_t i = 0; i < kRounds; ++i) {
            REQUIRE(log->append(many));
        }
        CHECK(log->pending().size() == kRounds * many.size());
    }
    const auto again = DeleteLog::open(path);
    REQUIRE(again);
    CHECK(again->pending().size() == kRounds * many.size());
}

TEST_CASE("sockets that killed plugins left are removed, those in use and other files stay") {
    const TemporaryDirectory directory;
    const auto bind = [&directory](const char* name) {
        UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        REQUIRE(fd);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = (directory.path / name).string();
        std::ranges::copy(path, std::begin(address.sun_path));
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        return fd;
    };
    const UniqueFd used = bind("caliused");
    bind("calidead").reset();
    std::ofstream(directory.path / ".note") << "x";
    CHECK(remove_abandoned_sockets(directory.path) == 1);
    CHECK(std::filesystem::exists(directory.path / "caliused"));
    CHECK(std::filesystem::exists(directory.path / ".note"));
    CHECK_FALSE(std::filesystem::exists(directory.path / "calidead"));
    CHECK(remove_abandoned_sockets(directory.path / "nowhere") == 0);
}

TEST_CASE("a journaled release that cannot be read for want of descriptors stays for the next time") {
    const TemporaryDirectory directory;
    std::ofstream(directory.path / journal_name(del("c1"))) << encode(del("c1"));
    std::ofstream(directory.path / "other.json") << "{";
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const int next = ::dup(STDIN_FILENO);
    REQUIRE(::close(next) == 0);
    const rlimit small{static_cast<rlim_t>(next) + 1, limit.rlim_max};  // the directory, and no file in it
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
    const JournalScan starved = scan_journal(directory.path.string());
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(starved.files.empty());
    CHECK(starved.refused.empty());
    const JournalScan scan = scan_journal(directory.path.string());
    REQUIRE(scan.files.size() == 1);
    CHECK(scan.files.front().request == del("c1"));
    CHECK(scan.refused.size() == 1);
}

}  // namespace
}  // namespace manul::ipam
