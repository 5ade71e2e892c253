// Nodes of MLX's graph that loops of our own compute, on a CPU and in float32.
//
// MLX's elementwise operations are scalar there, on one core, with one pass over memory each; a node
// of this file is one pass of a Rust function (src/mlx/kernels/) for a whole formula and one more for
// its gradient. Each kind also has its formula in MLX's own operations: that is what gradients of
// gradients, forward differentiation and vmap go through, so that they are right too.

#include <stdexcept>

#include "mlx/backend/cpu/encoder.h"
#include "mlx/c/error.h"
#include "mlx/c/private/mlx.h"
#include "mlx/mlx.h"
#include "mlx/primitives.h"

namespace mx = mlx::core;

extern "C" {

/// Where an array of at most four dimensions lies; missing ones come first, with size 1. Sizes and
/// steps count elements.
struct mlx_repl_view {
  void* data;
  int64_t shape[4];
  int64_t strides[4];
};

/// What computes. It must not touch MLX and must not throw.
typedef void (*mlx_repl_kernel)(
    const mlx_repl_view* inputs,
    size_t input_count,
    const mlx_repl_view* outputs,
    const float* numbers);

/// A formula: `kind` chooses the one in MLX's operations, `numbers` are its constants. The first
/// `differentiable` inputs have a gradient, which `backward` gives from all inputs and the one
/// cotangent.
struct mlx_repl_plan {
  int kind;
  int differentiable;
  float numbers[4];
  mlx_repl_kernel forward;
  mlx_repl_kernel backward;
};

}

namespace {

using Arrays = std::vector<mx::array>;
using Function = std::function<Arrays(const Arrays&)>;

enum Kind { RMS_NORM = 0, SWIGLU = 1, TURN = 2, ATTEND = 3 };

/// The formula of a kind in MLX's operations; src/mlx/host.rs says what the inputs are.
mx::array by_mlx(const mlx_repl_plan& plan, const Arrays& in, mx::Stream s) {
  switch (plan.kind) {
    case RMS_NORM:
      return mx::fast::rms_norm(in[0], in[1], plan.numbers[0], s);
    case SWIGLU: {
      auto gate = mx::multiply(in[0], mx::sigmoid(in[0], s), s);
      return mx::multiply(gate, in[1], s);
    }
    case TURN: {
      bool normed = plan.differentiable == 2;
      auto x = normed ? mx::fast::rms_norm(in[0], in[1], plan.numbers[0], s) : in[0];
      // The tables are [L, D] or [B, 1, L, D], and x is [B, L, H, D].
      auto table = [&](mx::array t) {
        return mx::expand_dims(t.ndim() == 2 ? t : mx::squeeze(t, 1, s), -2, s);
      };
      auto cosines = table(in[normed ? 2 : 1]);
      auto sines = table(in[normed ? 3 : 2]);
      auto halves = mx::split(x, 2, -1, s);
      auto other = mx::concatenate({halves[1], halves[0]}, -1, s);
      return mx::add(mx::multiply(x, cosines, s), mx::multiply(other, sines, s), s);
    }
    case ATTEND: {
      auto mask = in.size() > 3 ? std::make_optional(in[3]) : std::nullopt;
      auto mode = plan.numbers[1] != 0.0f ? "causal" : "";
      return mx::fast::scaled_dot_product_attention(
          in[0], in[1], in[2], plan.numbers[0], mode, mask, {}, false, s);
    }
  }
  throw std::invalid_argument("[mlx-repl] unknown kind of node");
}

bool lies_well(const mx::array& a, bool any_order) {
  if (!any_order || a.ndim() != 4) {
    return a.flags().row_contiguous;
  }
  return a.shape(3) == 1 || a.strides(3) == 1;
}

mlx_repl_view view_of(const mx::array& a, void* data, const mx::Strides& strides) {
  mlx_repl_view view{data, {1, 1, 1, 1}, {0, 0, 0, 0}};
  int first = 4 - static_cast<int>(a.ndim());
  for (int i = 0; i < static_cast<int>(a.ndim()); ++i) {
    view.shape[first + i] = a.shape(i);
    view.strides[first + i] = strides[i];
  }
  return view;
}

mx::Strides strides_in_order(const mx::array& a) {
  mx::Strides strides(a.ndim(), 1);
  for (int i = static_cast<int>(a.ndim()) - 2; i >= 0; --i) {
    strides[i] = strides[i + 1] * a.shape(i + 1);
  }
  return strides;
}

/// The view with heads and tokens exchanged.
mlx_repl_view exchanged(mlx_repl_view view) {
  std::swap(view.shape[1], view.shape[2]);
  std::swap(view.strides[1], view.strides[2]);
  return view;
}

template <typename T>
void copy(const mlx_repl_view& from, const mlx_repl_view& to) {
  auto out = static_cast<T*>(to.data);
  auto in = static_cast<const T*>(from.data);
  const auto& n = from.shape;
  const auto& step = from.strides;
  for (int64_t a = 0; a < n[0]; ++a) {
    for (int64_t b = 0; b < n[1]; ++b) {
      for (int64_t c = 0; c < n[2]; ++c) {
        auto row = in + a * step[0] + b * step[1] + c * step[2];
        for (int64_t d = 0; d < n[3]; ++d) {
          *out++ = row[d * step[3]];
        }
      }
    }
  }
}

class HostOp : public mx::Primitive {
 public:
  HostOp(mx::Stream stream, const mlx_repl_plan& plan, bool is_gradient)
      : Primitive(stream), plan_(plan), is_gradient_(is_gradient) {}

  const char* name() const override {
    return is_gradient_ ? "HostGradient" : "Host";
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    std::vector<mlx_repl_view> in;
    std::vector<std::pair<mlx_repl_view, mlx_repl_view>> copies;
    std::vector<size_t> widths;
    for (const auto& input : inputs) {
      auto data = const_cast<void*>(input.data<void>());
      auto view = view_of(input, data, input.strides());
      if (!lies_well(input, plan_.kind == ATTEND)) {
        // Another order in memory: a copy in the order of the loops.
        mx::array ordered(input.shape(), input.dtype(), nullptr, {});
        ordered.set_data(mx::allocator::malloc(ordered.nbytes()));
        auto to = view_of(ordered, ordered.data<void>(), strides_in_order(ordered));
        copies.emplace_back(view, to);
        widths.push_back(input.itemsize());
        encoder.add_temporary(ordered);
        view = to;
      }
      // The loops of attention see tokens before heads, as the projections around it lie; a mask
      // stays as it is.
      bool is_mask = input.dtype() == mx::bool_;
      in.push_back(plan_.kind == ATTEND && !is_mask ? exchanged(view) : view);
    }
    std::vector<mlx_repl_view> out;
    size_t size = 0;
    for (auto& output : outputs) {
      out.push_back(place(output));
      size += output.size();
    }
    if (size == 0) {
      return;
    }
    auto kernel = is_gradient_ ? plan_.backward : plan_.forward;
    encoder.dispatch([kernel, plan = plan_, in, out, copies, widths]() {
      for (size_t i = 0; i < copies.size(); ++i) {
        auto one = widths[i] == 1 ? copy<uint8_t> : copy<float>;
        one(copies[i].first, copies[i].second);
      }
      kernel(in.data(), in.size(), out.data(), plan.numbers);
    });
  }

  void eval_gpu(const Arrays&, Arrays&) override {
    throw std::runtime_error("[mlx-repl] this node is computed on a CPU only");
  }

  std::vector<mx::Shape> output_shapes(const Arrays& inputs) override {
    std::vector<mx::Shape> shapes;
    for (int i = 0; i < (is_gradient_ ? plan_.differentiable : 1); ++i) {
      shapes.push_back(inputs[i].shape());
    }
    return shapes;
  }

  Arrays vjp(
      const Arrays& primals,
      const Arrays& cotangents,
      const std::vector<int>& argnums,
      const Arrays&) override {
    bool have_kernel = !is_gradient_;
    for (int i : argnums) {
      have_kernel = have_kernel && i < plan_.differentiable;
    }
    Arrays all = have_kernel ? gradient(primals, cotangents[0])
                             : mx::vjp(formula(), primals, cotangents).second;
    Arrays chosen;
    for (int i : argnums) {
      chosen.push_back(all[i]);
    }
    return chosen;
  }

  Arrays jvp(
      const Arrays& primals,
      const Arrays& tangents,
      const std::vector<int>& argnums) override {
    Arrays moved;
    for (int i : argnums) {
      moved.push_back(primals[i]);
    }
    auto of_moved = [f = formula(), primals, argnums](const Arrays& moved) {
      Arrays all = primals;
      for (size_t i = 0; i < argnums.size(); ++i) {
        all[argnums[i]] = moved[i];
      }
      return f(all);
    };
    return mx::jvp(of_moved, moved, tangents).second;
  }

  std::pair<Arrays, std::vector<int>> vmap(
      const Arrays& inputs,
      const std::vector<int>& axes) override {
    auto outputs = mx::vmap(formula(), axes)(inputs);
    auto count = outputs.size();
    return {std::move(outputs), std::vector<int>(count, 0)};
  }

  /// Gives an output its memory; what attention writes lies in memory with tokens before heads.
  mlx_repl_view place(mx::array& output) {
    auto buffer = mx::allocator::malloc(output.nbytes());
    if (plan_.kind != ATTEND || output.shape(1) == 1 || output.shape(2) == 1) {
      output.set_data(buffer);
      auto view = view_of(output, output.data<void>(), strides_in_order(output));
      return plan_.kind == ATTEND ? exchanged(view) : view;
    }
    int64_t heads = output.shape(1), tokens = output.shape(2), width = output.shape(3);
    mx::Strides strides{tokens * heads * width, width, heads * width, 1};
    mx::array::Flags flags{true, false, false};
    output.set_data(buffer, output.size(), strides, flags);
    return exchanged(view_of(output, output.data<void>(), strides));
  }

  Arrays gradient(const Arrays& primals, const mx::array& cotangent) {
    Arrays inputs = primals;
    inputs.push_back(mx::astype(cotangent, mx::float32, stream()));
    auto node = std::make_shared<HostOp>(stream(), plan_, true);
    std::vector<mx::Dtype> dtypes(plan_.differentiable, mx::float32);
    return mx::array::make_arrays(node->output_shapes(inputs), dtypes, node, inputs);
  }

 private:
  /// This node in MLX's operations.
  Function formula() {
    auto plan = plan_;
    auto s = stream();
    Function forward = [plan, s](const Arrays& in) { return Arrays{by_mlx(plan, in, s)}; };
    if (!is_gradient_) {
      return forward;
    }
    return [plan, forward](const Arrays& in) {
      Arrays primals(in.begin(), in.end() - 1);
      auto all = mx::vjp(forward, primals, {in.back()}).second;
      all.erase(all.begin() + plan.differentiable, all.end());
      return all;
    };
  }

  mlx_repl_plan plan_;
  bool is_gradient_;
};

} // namespace

/// A node of a plan over inputs, whose answer has the shape of the first.
extern "C" int mlx_repl_host(
    mlx_array* res,
    const mlx_repl_plan* plan,
    const mlx_vector_array inputs,
    const mlx_stream s) {
  try {
    const auto& in = mlx_vector_array_get_(inputs);
    auto node = std::make_shared<HostOp>(mlx_stream_get_(s), *plan, false);
    mlx_array_set_(*res, mx::array(in.at(0).shape(), mx::float32, node, in));
  } catch (std::exception& e) {
    mlx_error("%s", e.what());
    return 1;
  }
  return 0;
}
