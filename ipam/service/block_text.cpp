#include "ipam/service/block_text.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/json.hpp"
#include "config/model/ipam_block.hpp"
#include "ipam/core/block.hpp"

namespace manul::ipam {

namespace {

// In a text of JSON the quotes of these are escaped, so both stand for themselves alone.
constexpr std::string_view kAttributes = R"("attributes":[)";
constexpr std::string_view kEnd = "]}}";  ///< of a block whose fields behind `attributes` are all unset

std::string print_owner(const Owner& owner) {
    model::IpamBlock block;
    block.spec.attributes.push_back(to_attribute(owner));
    const std::string text = codec::encode(block);
    const std::size_t from = text.find(kAttributes) + kAttributes.size();
    return text.substr(from, text.size() - kEnd.size() - from);
}

}  // namespace

std::string BlockText::print(const model::IpamBlock& block, const std::vector<OwnerPtr>& owners) {
    if (texts_.size() + owners.size() > kMaxKept) {
        texts_.clear();
    }
    std::size_t size = 0;
    std::vector<const std::string*> parts;
    parts.reserve(owners.size());
    for (const OwnerPtr& owner : owners) {
        std::string& text = texts_[owner];
        if (text.empty()) {
            text = print_owner(*owner);
        }
        parts.push_back(&text);
        size += text.size() + 1;
    }
    const std::string frame = codec::encode(block);
    const std::size_t at = frame.find(kAttributes) + kAttributes.size();
    std::string out;
    out.reserve(frame.size() + size);
    out.append(frame, 0, at);
    for (const std::string* part : parts) {
        out.append(part == parts.front() ? "" : ",").append(*part);
    }
    return out.append(frame, at);
}

}  // namespace manul::ipam
