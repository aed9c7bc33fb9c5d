#include <catch2/catch.hpp>
#include <string>

#include <fmt/core.h>

#include "ctl/datastore/backup.hpp"
#include "ctl/verbs/edit.hpp"
#include "ctl/verbs/verbs.hpp"
#include "test/ctl/moving.hpp"

using namespace manul;
using namespace manul::ctl;
using manul::test::MovingTool;
using model::Key;
using model::Kind;

namespace {

const Key kGood{Kind::ip_pool, "", "good"};
constexpr const char* kGoodText =
    "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: good}\nspec: {cidr: 10.0.0.0/24}\n---\n";

ExitCode apply(MovingTool& tool, std::string text) {
    tool.input = std::move(text);
    return write_objects(tool.context(), WriteVerb::apply, WriteOptions{.input = {.paths = {"-"}}});
}

}  // namespace

TEST_CASE("ten thousand errors in one file are all told, and nothing of it is applied") {
    MovingTool tool;
    std::string text = kGoodText;
    constexpr int kErrors = 10'000;
    for (int i = 0; i < kErrors; ++i) {
        text += fmt::format(
            "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: p{0}}}\nspec: {{cidr: wrong{0}}}\n---\n",
            i);
    }
    CHECK(apply(tool, text) == ExitCode::failed);
    CHECK(tool.complains("nothing was changed; the input has 10000 errors"));
    CHECK(tool.complains("wrong9999"));
    CHECK_FALSE(tool.has(kGood));
}

TEST_CASE("an object of ten megabytes is refused with the limit, by every way in") {
    const std::string big = fmt::format(
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {{name: big, labels: {{a: b}}}}\nspec: "
        "{{nets: [\"{}\"]}}\n",
        std::string(std::size_t{10} << 20U, '1'));
    const std::string valid_but_big = [] {
        std::string nets;
        for (int i = 0; i < 700'000; ++i) {
            nets += fmt::format("{}\"10.{}.{}.{}/32\"", i == 0 ? "" : ",", i >> 16, (i >> 8) & 255, i & 255);
        }
        return R"({"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkSet","metadata":{"name":"big"},"spec":{"nets":[)" +
               nets + "]}}";
    }();
    REQUIRE(valid_but_big.size() > (std::size_t{10} << 20U));
    MovingTool tool;
    CHECK(apply(tool, kGoodText + big) == ExitCode::failed);
    CHECK(tool.complains("spec.nets[0]"));
    CHECK_FALSE(tool.has(kGood));
    CHECK(apply(tool, valid_but_big) == ExitCode::failed);
    CHECK(tool.complains("at most 1048576 bytes"));
    CHECK(tool.import_text(valid_but_big) == ExitCode::failed);
    CHECK(tool.complains("at most 1048576 bytes"));
    CHECK_FALSE(tool.has({Kind::global_network_set, "", "big"}));
}

TEST_CASE("text that is not UTF-8 is refused where it stands, and nothing beside it is applied") {
    MovingTool tool;
    for (const std::string& bad :
         {std::string("\xff\xfe"), std::string("a\xc3(", 3), std::string("\xed\xa0\x80"), std::string("\0x", 2)}) {
        CHECK(apply(tool, kGoodText + ("apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: \"" + bad +
                                       "\"}\n")) == ExitCode::failed);
        CHECK(tool.complains("nothing was changed"));
        CHECK_FALSE(tool.has(kGood));
        CHECK(tool.import_text(kGoodText + bad) == ExitCode::failed);
        CHECK_FALSE(tool.has(kGood));
        CHECK(patch_objects(tool.context(), {.targets = {.objects = {.words = {"tier", "default"}}},
                                             .patch = "{\"metadata\":{\"annotations\":{\"a\":\"" + bad + "\"}}}",
                                             .type = "merge"}) == ExitCode::failed);
    }
}

TEST_CASE("an object that a newer version wrote is changed by nobody who would lose its fields") {
    MovingTool tool;
    const store::Op put = store::Put{
        kGood,
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"good"},"spec":{"cidr":"10.0.0.0/24","blockSize":26,"future":{"x":[1,2]}}})",
        std::nullopt};
    REQUIRE(tool.store->transact(std::span(&put, 1), store::Checks::own_fields_only));
    const auto kept = [&] { return tool.document(kGood).find(R"("future":{"x":[1,2]})") != std::string::npos; };
    CHECK(kept());
    const auto labelled = label_objects(tool.context(), {.targets = {}, .words = {"ippool", "good", "a=b"}});
    CHECK(labelled == ExitCode::ok);
    CHECK(kept());
    CHECK(tool.document(kGood).find(R"("a":"b")") != std::string::npos);
    CHECK(patch_objects(tool.context(), {.targets = {.objects = {.words = {"ippool", "good"}}},
                                         .patch = "spec: {natOutgoing: true}",
                                         .type = "merge"}) == ExitCode::ok);
    CHECK(kept());
    CHECK(patch_objects(tool.context(), {.targets = {.objects = {.words = {"ippool", "good"}}},
                                         .patch = "spec: {misspelt: true}",
                                         .type = "merge"}) == ExitCode::failed);
    CHECK(tool.complains("spec.misspelt"));
    CHECK_FALSE(tool.complains("future"));
    CHECK(kept());
}

TEST_CASE("backup and restore are for the embedded store") {
    MovingTool tool;
    tool.type = config::DatastoreType::etcd;
    CHECK(back_up(tool.context(), "/tmp/x") == ExitCode::failed);
    CHECK(tool.complains("datastore migrate export"));
    CHECK(restore(tool.context(), "/tmp/x", false) == ExitCode::failed);
    tool.type = config::DatastoreType::sqlite;
    tool.path = "/nonexistent/store.db";
    CHECK(back_up(tool.context(), "/tmp/manul-never") == ExitCode::failed);
    CHECK(tool.complains("/nonexistent/store.db"));
    CHECK(restore(tool.context(), "/nonexistent/backup.db", false) == ExitCode::failed);
    CHECK(tool.complains("/nonexistent/backup.db"));
}
