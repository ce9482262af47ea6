// Which members join first, at which distance, and into which groups does a cut divide them?
import Analysis
import Foundation

/// A tree of merges: members as rows, the distance of each merge to the right, a dashed line where it is cut.
struct DendrogramChart: Chart {
  var summary: String
  var tree: Dendrogram
  /// The members' names, in the order of the tree's members.
  var labels: [String]
  /// Into how many clusters the tree is cut; the branches of each have a colour.
  var clusters: Int
  var axisTitle = "distance"
  var format = ValueFormat.decimal
  /// The nth cluster's name for the legend, clusters in the order of their first members; none for no legend.
  var clusterNames: [String] = []
  /// For each member.
  var details: [[String]] = []

  var legend: [LegendItem] {
    clusterNames.enumerated().map { LegendItem(color: .group($0.offset), text: $0.element) }
  }

  /// A cluster's place: where its branch begins, how high, and whose colour it has.
  struct Node {
    /// Distance at which it was made; 0 for a member.
    var distance: Double
    /// In rows, from 0.
    var row: Double
    /// The cluster that all its members belong to; none above the cut.
    var cluster: Int?
  }

  /// The members and then the merges; none for a tree that is not one.
  func nodes() -> [Node]? {
    let count = tree.count
    guard count > 0, tree.merges.count == count - 1 else { return nil }
    for (step, merge) in tree.merges.enumerated() {
      guard merge.first >= 0, merge.second >= 0, max(merge.first, merge.second) < count + step,
        merge.distance.isFinite, merge.distance >= 0
      else { return nil }
    }
    // Each cluster is merged once, or the tree has a loop.
    guard Set(tree.merges.flatMap { [$0.first, $0.second] }).count == 2 * (count - 1) else { return nil }
    let cut = tree.cut(into: wanted)
    var nodes = [Node](repeating: Node(distance: 0, row: 0, cluster: nil), count: count)
    for (row, member) in tree.leafOrder.enumerated() {
      nodes[member] = Node(distance: 0, row: Double(row), cluster: cut[member])
    }
    for merge in tree.merges {
      let (first, second) = (nodes[merge.first], nodes[merge.second])
      nodes.append(
        Node(
          distance: merge.distance, row: (first.row + second.row) / 2,
          cluster: first.cluster == second.cluster ? first.cluster : nil))
    }
    return nodes
  }

  private var wanted: Int { min(max(clusters, 1), max(tree.count, 1)) }

  /// The distance at which the tree is cut: in the middle between the last merge that is kept and the first that is undone.
  var cutDistance: Double? {
    guard wanted > 1, tree.merges.count == tree.count - 1 else { return nil }
    let undone = tree.merges[tree.count - wanted].distance
    let kept = wanted < tree.count ? tree.merges[tree.count - wanted - 1].distance : 0
    return (kept + undone) / 2
  }

  func layout(width: Double) -> (scale: LinearScale, rowHeight: Double, top: Double) {
    let isNarrow = width < 600
    let widest = (labels.map { TextMeasure.width($0, size: 12.5) }.max() ?? 0) + 14
    let left = min(widest, isNarrow ? width * 0.44 : 300)
    let greatest = tree.merges.map(\.distance).filter(\.isFinite).max() ?? 1
    return (
      LinearScale(
        0...max(greatest * 1.02, 1e-12), from: left, to: width - 14, tickCount: isNarrow ? 3 : 8, nice: false),
      21, cutDistance == nil ? 6 : 22
    )
  }

  func draw(width: Double) -> Drawing {
    let (scale, rowHeight, top) = layout(width: width)
    guard let nodes = nodes() else {
      return Drawing(
        width: width, height: 24, body: Mark.text("no members", x: 0, y: 15, class: "tick absent"))
    }
    let bottom = top + rowHeight * Double(tree.count) + 2
    func y(_ node: Node) -> Double { top + rowHeight * (node.row + 0.5) }
    var body = Mark.bottomAxis(scale, format: format, top: top, bottom: bottom, title: axisTitle)
    for member in 0..<tree.count {
      let node = nodes[member]
      let name = member < labels.count ? labels[member] : "member \(member + 1)"
      var lines = [name]
      if clusters > 1, let cluster = node.cluster {
        lines.append(cluster < clusterNames.count ? clusterNames[cluster] : "cluster \(cluster + 1)")
      }
      if member < details.count { lines += details[member] }
      let text = TextMeasure.fitted(name, width: scale.start - 12, size: 12.5)
      body +=
        "<g>\(Mark.tip(lines))\(Mark.text(text, x: scale.start - 9, y: y(node) + 4.5, class: "label", anchor: .end))</g>"
    }
    for (step, merge) in tree.merges.enumerated() {
      let (first, second, made) = (nodes[merge.first], nodes[merge.second], nodes[tree.count + step])
      let x = scale.position(merge.distance)
      let tip = ["joined at \(format.text(merge.distance))", "\(merge.size) members"]
      if let cluster = made.cluster, wanted > 1 {
        let path = Mark.path([
          (x: scale.position(first.distance), y: y(first)), (x: x, y: y(first)), (x: x, y: y(second)),
          (x: scale.position(second.distance), y: y(second)),
        ])
        body += "<path d='\(path)' class='line \(ColorKey.group(cluster).name)'>\(Mark.tip(tip))</path>"
        continue
      }
      body += "<g>\(Mark.tip(tip))"
      for part in [first, second] { body += branch(part, to: x, y: y(part), scale: scale) }
      body += Mark.line(x1: x, y1: y(first), x2: x, y2: y(second), class: "branch") + "</g>"
    }
    if let cutDistance {
      let x = scale.position(cutDistance)
      body += Mark.line(x1: x, y1: top - 4, x2: x, y2: bottom, class: "mark")
      let text = "\(wanted) clusters"
      let half = TextMeasure.width(text, size: 11) / 2
      body += Mark.text(
        text, x: min(max(x, scale.start + half), width - half), y: top - 9, class: "tick strong", anchor: .middle)
    }
    return Drawing(width: width, height: bottom + 36, body: body)
  }

  /// The way from a part to the merge: in its cluster's colour as far as the cut.
  private func branch(_ node: Node, to end: Double, y: Double, scale: LinearScale) -> HTML {
    let start = scale.position(node.distance)
    guard wanted > 1, let cluster = node.cluster, let cutDistance else {
      return Mark.line(x1: start, y1: y, x2: end, y2: y, class: "branch")
    }
    let middle = min(max(scale.position(cutDistance), start), end)
    return "<path d='M\(start) \(y)H\(middle)' class='line \(ColorKey.group(cluster).name)'/>"
      + Mark.line(x1: middle, y1: y, x2: end, y2: y, class: "branch")
  }
}
