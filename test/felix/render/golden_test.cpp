#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <catch2/catch.hpp>

#include "felix/render/print.hpp"
#include "test/felix/render/cases.hpp"

// MANUL_GOLDEN_DIR holds one folder for each case; MANUL_UPDATE_GOLDEN=1 writes what is rendered.
namespace manul::felix::test {

TEST_CASE("every situation renders to its golden ruleset") {
    const char* const directory = std::getenv("MANUL_GOLDEN_DIR");
    REQUIRE(directory != nullptr);
    for (const Case& c : cases()) {
        const std::string path = std::string(directory) + "/" + c.name + "/ruleset.nft";
        const std::string text = render::print(rendered(c.batches));
        if (std::getenv("MANUL_UPDATE_GOLDEN") != nullptr) {
            std::ofstream(path) << text;
        }
        std::ifstream file(path);
        std::stringstream wanted;
        wanted << file.rdbuf();
        CAPTURE(c.name);
        CHECK(wanted.str() == text);
    }
}

}  // namespace manul::felix::test
