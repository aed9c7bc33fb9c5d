// Any text is either refused or read; what JSON is read is written as the same value again, what YAML is read can be
// printed and read again, and every kind survives any document.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/kind.hpp"

using namespace manul;

namespace {

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void check_json(std::string_view text) {
    const auto tree = codec::parse_json(text);
    if (!tree) {
        return;
    }
    const std::string written = codec::to_json(*tree);
    const auto again = codec::parse_json(written);
    require(again && again->same_value(*tree) && codec::to_json(*again) == written);
    const auto yaml = codec::to_yaml(written);
    require(yaml.has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_json(text);
    const auto loaded = codec::load_yaml(text, "fuzz");
    for (const codec::LoadedObject& object : loaded.objects) {
        require(codec::parse_json(object.document).has_value());
        if (!object.ok()) {
            continue;
        }
        const std::string encoded = codec::encode(*object.resource);
        const auto again = codec::decode_and_validate(object.kind, encoded, codec::Mode::strict);
        require(again.ok() && codec::encode(*again.resource) == encoded);
        const auto completed = codec::with_creation_defaults(object.kind, object.document);
        require(completed.has_value());
        require(codec::merge(object.document, *object.resource, *object.resource) == object.document);
    }
    for (const model::KindInfo& kind : model::all_kinds()) {
        (void)codec::decode_and_validate(kind.kind, text, codec::Mode::lenient);
    }
    return 0;
}
