#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "config/model/resource.hpp"
#include "net/prefix.hpp"

namespace manul::model {

struct IpamHandleSpec {
    std::string handle_id;
    std::map<net::Prefix, std::uint32_t> block;  ///< number of addresses by block
    bool deleted = false;

    bool operator==(const IpamHandleSpec&) const = default;
};

struct IpamHandle final : ResourceOf<Kind::ipam_handle> {
    IpamHandleSpec spec;
};

}  // namespace manul::model
