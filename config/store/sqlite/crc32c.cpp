#include "config/store/sqlite/crc32c.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace manul::store::sqlite {

namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78U;  // reflected

using Table = std::array<std::uint32_t, 256>;

/// tables[n][b]: effect of byte b followed by n zero bytes, so that eight bytes take eight independent look-ups.
constexpr std::array<Table, 8> make_tables() {
    std::array<Table, 8> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kPolynomial : 0);
        }
        tables[0][byte] = crc;
    }
    for (std::size_t n = 1; n < tables.size(); ++n) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[n - 1][byte];
            tables[n][byte] = (before >> 8U) ^ tables[0][before & 0xffU];
        }
    }
    return tables;
}

constexpr std::array<Table, 8> kTables = make_tables();

std::uint32_t by_tables(std::string_view data, std::uint32_t crc) noexcept {
    while (data.size() >= 8 && std::endian::native == std::endian::little) {
        std::uint64_t word = 0;
        std::memcpy(&word, data.data(), sizeof(word));
        word ^= crc;
        crc = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            crc ^= kTables[7 - i][(word >> (8 * i)) & 0xffU];
        }
        data.remove_prefix(8);
    }
    for (const char c : data) {
        crc = (crc >> 8U) ^ kTables[0][(crc ^ static_cast<unsigned char>(c)) & 0xffU];
    }
    return crc;
}

#ifdef __x86_64__
/// The processor's own instruction for this very polynomial.
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::string_view data, std::uint32_t crc) noexcept {
    std::uint64_t wide = crc;
    while (data.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, data.data(), sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
        data.remove_prefix(8);
    }
    crc = static_cast<std::uint32_t>(wide);
    for (const char c : data) {
        crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(c));
    }
    return crc;
}

bool has_instruction() noexcept { return __builtin_cpu_supports("sse4.2") != 0; }
#else
std::uint32_t by_instruction(std::string_view data, std::uint32_t crc) noexcept { return by_tables(data, crc); }
bool has_instruction() noexcept { return false; }
#endif

}  // namespace

std::uint32_t crc32c(std::string_view data, std::uint32_t seed) noexcept {
    static const bool fast = has_instruction();
    return ~(fast ? by_instruction(data, ~seed) : by_tables(data, ~seed));
}

}  // namespace manul::store::sqlite
