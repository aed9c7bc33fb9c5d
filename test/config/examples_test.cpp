#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/codec/json.hpp"
#include "config/codec/yaml.hpp"

using namespace manul;

TEST_CASE("every example manifest is accepted unchanged and survives a round trip") {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(MANUL_EXAMPLES)) {
        if (entry.path().extension() != ".yaml") {
            continue;
        }
        CAPTURE(entry.path().string());
        std::ifstream file(entry.path());
        std::ostringstream text;
        text << file.rdbuf();
        const auto loaded = codec::load_yaml(text.str(), entry.path().filename().string());
        for (const auto& finding : loaded.all_findings()) {
            FAIL_CHECK(finding.to_string());
        }
        REQUIRE(loaded.objects.size() == 1);
        const codec::LoadedObject& object = loaded.objects.front();
        const auto printed = codec::to_yaml(object.document);
        REQUIRE(printed);
        CHECK(codec::load_yaml(*printed, "printed").objects.at(0).document == object.document);
        const auto again =
            codec::decode_and_validate(object.kind, codec::encode(*object.resource), codec::Mode::strict);
        CHECK(again.ok());
        CHECK(codec::encode(*again.resource) == codec::encode(*object.resource));
        ++count;
    }
    CHECK(count >= 11);
}
