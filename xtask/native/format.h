// gcc 12 has no std::format; mlx-c uses it for a few messages. This fills `{}` in order,
// which is all that those need, and disappears where the library has the real one.
#pragma once
#ifdef __cplusplus
#include <version>
#if !defined(__cpp_lib_format)
#include <sstream>
#include <string>
#include <string_view>
namespace std {
template <typename... Args>
string format(string_view pattern, const Args&... args) {
  ostringstream out;
  [[maybe_unused]] auto fill = [&](const auto& value) {
    auto hole = pattern.find("{}");
    if (hole == string_view::npos) {
      return;
    }
    out << pattern.substr(0, hole) << value;
    pattern.remove_prefix(hole + 2);
  };
  (fill(args), ...);
  out << pattern;
  return out.str();
}
} // namespace std
#else
#include <format>
#endif
#endif
