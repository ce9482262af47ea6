// Are PASCAL VOC and COCO read as they are written, outlines included, and are their mistakes named?
import Foundation
import Testing

@testable import Workloads

/// A data set of PASCAL VOC with some images of one gradient.
func writeVOC(_ directory: TemporaryDirectory, root: String = "VOC2007/", images: Int = 4) throws {
  let jpeg = try Fixture.jpeg(Fixture.gradient(80, 60), 80, 60)
  for index in 0..<images {
    try directory.write("\(root)JPEGImages/00000\(index).jpg", jpeg)
    try directory.write(
      "\(root)Annotations/00000\(index).xml",
      """
      <?xml version="1.0"?>
      <annotation>
        <folder>VOC2007</folder>
        <size><width>80</width><height>60</height><depth>3</depth></size>
        <object>
          <name> dog </name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
          <bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>50</ymax></bndbox>
          <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
        </object>
        <object>
          <name>person</name><difficult>1</difficult>
          <bndbox><xmax>80</xmax><xmin>60.5</xmin><ymax>60</ymax><ymin>1</ymin></bndbox>
        </object>
      </annotation>
      """)
  }
  let names = (0..<images).map { "00000\($0)" }
  try directory.write("\(root)ImageSets/Main/trainval.txt", names.joined(separator: "\n") + "\n")
  try directory.write("\(root)ImageSets/Main/test.txt", names.map { $0 + "  1" }.joined(separator: "\r\n"))
}

/// A data set like COCO with two categories; each image has a dog, a cat and a crowd of cats.
func writeCOCO(_ directory: TemporaryDirectory, images: Int = 4) throws {
  let jpeg = try Fixture.jpeg(Fixture.gradient(80, 60), 80, 60)
  let crowd = [0, 600, 4200]
  for split in ["train", "val"] {
    var annotations: [String] = []
    for index in 1...images + 1 { try directory.write("\(split)2017/\(index).jpg", jpeg) }
    for index in 1...images {
      annotations += [
        #"{"id": \#(10 * index), "image_id": \#(index), "category_id": 18, "iscrowd": 0, "area": 600, "#
          + #""bbox": [10, 20, 30, 20], "segmentation": [[10, 20, 40, 20, 40, 40, 10, 40]]}"#,
        #"{"id": \#(10 * index + 1), "image_id": \#(index), "category_id": 17, "iscrowd": 0, "area": 100.5, "#
          + #""bbox": [50.5, 5, 40, 20], "segmentation": {"size": [60, 80], "counts": "dQ2n0^c2"}}"#,
        #"{"id": \#(10 * index + 2), "image_id": \#(index), "category_id": 17, "iscrowd": 1, "area": 100, "#
          + #""bbox": [0, 0, 10, 60], "segmentation": {"size": [60, 80], "counts": \#(crowd)}}"#,
        #"{"id": \#(10 * index + 3), "image_id": \#(index), "category_id": 17, "iscrowd": 0, "area": 0, "#
          + #""bbox": [5, 5, 0, 3], "segmentation": [[5, 5, 5, 8, 5, 6]]}"#,
      ]
    }
    let list = (1...images + 1).map {
      #"{"id": \#($0), "file_name": "\#($0).jpg", "width": 80, "height": 60, "license": 1}"#
    }
    try directory.write(
      "annotations/instances_\(split)2017.json",
      """
      {"info": {"year": 2017}, "licenses": [], "images": [\(list.joined(separator: ","))],
       "annotations": [\(annotations.joined(separator: ",\n"))],
       "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}, {"id": 17, "name": "cat"}]}
      """)
  }
}

@Suite struct ObjectDataTests {
  @Test func readsPascalVOC() throws {
    let directory = try TemporaryDirectory()
    try writeVOC(directory)
    let source = try VOC(directory: directory.path, split: .train)
    #expect(source.count == 4 && source.classNames.count == 20)
    let objects = source.annotations(2)
    // Pixels 11 to 40 reach from 10 to 40.
    #expect(objects[0] == ObjectAnnotation(box: Box(10, 20, 40, 50), label: 12))
    #expect(objects[1] == ObjectAnnotation(box: Box(59.5, 0, 80, 60), label: 15, isIgnored: true))
    let image = try source.image(3)
    #expect(image.width == 80 && image.height == 60)
    // Named by its own directory, and the list of the test split, which has a column more.
    #expect(try VOC(directory: directory.path + "/VOC2007", split: .test).count == 4)
  }

  @Test func pascalVOCsMistakesAreNamed() throws {
    let directory = try TemporaryDirectory()
    func open() throws { _ = try VOC(directory: directory.path, split: .train) }
    expectDataError(mentions: ["PASCAL VOC", "found nothing"], open)
    try writeVOC(directory, root: "", images: 1)
    let file = "Annotations/000000.xml"
    let sound = try String(contentsOfFile: directory.path + "/" + file, encoding: .utf8)
    func expect(_ mentions: [String], _ from: String, _ to: String) throws {
      try directory.write(file, sound.replacingOccurrences(of: from, with: to))
      expectDataError(mentions: [file] + mentions, open)
    }
    try expect(["line 6", "\"unicorn\"", "aeroplane"], " dog ", "unicorn")
    try expect(["line 7", "xmax"], "<xmax>40</xmax>", "<xmax>10</xmax>")
    try expect(["line 7", "\"4o\""], "<xmax>40</xmax>", "<xmax>4o</xmax>")
    try expect(["line 7", "<ymin>"], "<ymin>21</ymin>", "")
    try expect(["damaged", "line 8", "mismatched tag"], "</part>", "</parts>")
    try expect(["damaged", "line 14"], "</annotation>", "")
    try expect(["annotation of PASCAL VOC"], "annotation>", "html>")
    try expect(["nested"], "<folder>", String(repeating: "<a>", count: 80))
    try directory.write(file, "")
    expectDataError(mentions: ["empty"], open)
    try FileManager.default.removeItem(atPath: directory.path + "/" + file)
    expectDataError(mentions: ["cannot read", file], open)
    try directory.write(file, sound)
    try directory.write("ImageSets/Main/trainval.txt", "000000\n../secret\n")
    expectDataError(mentions: ["trainval.txt, line 2"], open)
    try directory.write("ImageSets/Main/trainval.txt", "\n")
    expectDataError(mentions: ["no sample"], open)
    try directory.write("JPEGImages/000000.jpg", "not an image")
    try directory.write("ImageSets/Main/trainval.txt", "000000")
    let source = try VOC(directory: directory.path, split: .train)
    expectDataError(mentions: ["JPEGImages/000000.jpg"]) { _ = try source.image(0) }
  }

  @Test func readsCOCO() throws {
    let directory = try TemporaryDirectory()
    try writeCOCO(directory)
    let source = try COCO(directory: directory.path, split: .train)
    // The fifth image has no annotation.
    #expect(source.count == 5)
    #expect(try COCO(directory: directory.path, split: .val, skipsEmpty: true).count == 4)
    // By their numbers, whatever their order in the file.
    #expect(source.classNames == ["cat", "dog"])
    let objects = source.annotations(1)
    #expect(objects.map(\.label) == [2, 1, 1])
    #expect(objects.map(\.isIgnored) == [false, false, true])
    #expect(objects[0].box == Box(10, 20, 40, 40))
    // Cut off at the image's edge.
    #expect(objects[1].box == Box(50.5, 5, 80, 25))
    let areas = objects.map { $0.outline?.mask(width: 80, height: 60).area ?? 0 }
    #expect(areas == [600, 30, 600])
    #expect(try source.image(0).width == 80)
  }

  @Test func cocosMistakesAreNamed() throws {
    let directory = try TemporaryDirectory()
    func open() throws { _ = try COCO(directory: directory.path, split: .train) }
    expectDataError(mentions: ["instances_train2017.json"], open)
    try writeCOCO(directory, images: 1)
    let file = "annotations/instances_train2017.json"
    let sound = try String(contentsOfFile: directory.path + "/" + file, encoding: .utf8)
    func expect(_ mentions: [String], _ from: String, _ to: String) throws {
      #expect(sound.contains(from))
      try directory.write(file, sound.replacingOccurrences(of: from, with: to))
      expectDataError(mentions: [file] + mentions, open)
    }
    try expect(["annotation 10", "image 7"], #""id": 10, "image_id": 1"#, #""id": 10, "image_id": 7"#)
    try expect(["annotation 10", "category 99"], #""category_id": 18"#, #""category_id": 99"#)
    try expect(["annotation 10", "x, y, width and height"], "[10, 20, 30, 20]", "[10, 20, 30]")
    try expect([".annotations[0].bbox"], "[10, 20, 30, 20]", #""10""#)
    try expect([".annotations[0].image_id", "missing"], #""image_id": 1, "category_id": 18"#, #""category_id": 18"#)
    try expect(["annotation 11", "outline", "80×60"], "dQ2n0^c2", "PT4")
    try expect(["annotation 12", "outline"], "[0, 600, 4200]", "[0, 600, 4201]")
    try expect(["annotation 10", "outline"], "[10, 20, 40, 20, 40, 40, 10, 40]", "[10, 20, 40, 20, 40, 40, 10, 1e38]")
    try expect(["annotation 10", "outline"], "[10, 20, 40, 20, 40, 40, 10, 40]", "[10, 20, 40, 20]")
    try expect(["image 2 is there twice"], #"{"id": 1, "file_name""#, #"{"id": 2, "file_name""#)
    try expect(["../x.jpg"], #""1.jpg""#, #""../x.jpg""#)
    try directory.write(file, String(sound.prefix(300)))
    expectDataError(mentions: [file, "damaged"], open)
    try directory.write(file, #"{"images": [], "annotations": [], "categories": []}"#)
    expectDataError(mentions: ["no sample"], open)
  }

  @Test func runLengthsAreCOCOs() {
    // 3 wide, 2 high: columns (0, 1), (1, 1), (0, 0).
    let mask = RunLengthMask([0, 1, 0, 1, 1, 0], width: 3, height: 2)
    #expect(mask.counts == [1, 3, 2])
    #expect(mask.pixels == [0, 1, 0, 1, 1, 0])
    #expect(mask.area == 3)
    #expect(mask.boundingBox == Box(0, 0, 2, 2))
    // COCO's tool writes these runs as the text: 2100 = 0b10_00001_10100,
    // the fourth is 78 − 48, the fifth 172 − 2.
    let text = RunLengthMask(compressed: "dQ2`12n0Z5".utf8, width: 60, height: 40)
    #expect(text?.counts == [2100, 48, 2, 78, 172])
    #expect(RunLengthMask(compressed: "12".utf8, width: 3, height: 1)?.counts == [1, 2])
    #expect(RunLengthMask(compressed: "12".utf8, width: 3, height: 2) == nil)
    #expect(RunLengthMask(compressed: "1~".utf8, width: 3, height: 1) == nil)
    #expect(RunLengthMask(compressed: "1Q".utf8, width: 3, height: 1) == nil)
    // Lengths that grow and grow.
    let growing = String(repeating: "oooooooooo?", count: 40)
    #expect(RunLengthMask(compressed: growing.utf8, width: 60, height: 40) == nil)
    #expect(RunLengthMask(counts: [-1, 7], width: 3, height: 2) == nil)
    #expect(RunLengthMask(counts: [.max, 1], width: 3, height: 2) == nil)
  }

  @Test func masksAreComparedRunByRun() {
    var random = SeededRandom(3)
    for _ in 0..<20 {
      let (a, b) = (
        (0..<42).map { _ in UInt8(random.integer(below: 2)) }, (0..<42).map { _ in UInt8(random.integer(below: 2)) }
      )
      let (x, y) = (RunLengthMask(a, width: 7, height: 6), RunLengthMask(b, width: 7, height: 6))
      #expect(x.pixels == a)
      #expect(x.commonArea(y) == zip(a, b).count { $0 == 1 && $1 == 1 })
      #expect(x.area == a.count { $0 == 1 })
    }
  }

  @Test func polygonsCoverThePixelsWhoseCentresAreInside() {
    let square = RunLengthMask(polygons: [[1, 1, 4, 1, 4, 3, 1, 3]], width: 6, height: 5)
    #expect(square.boundingBox == Box(1, 1, 4, 3))
    #expect(square.area == 6)
    // A triangle below the diagonal: the centres on it belong to it.
    #expect(RunLengthMask(polygons: [[0, 0, 4, 4, 0, 4]], width: 4, height: 4).area == 6)
    // Two parts, one beyond the image; and one that is no area.
    let parts = RunLengthMask(
      polygons: [[-5, -5, 2, -5, 2, 2, -5, 2], [3, 3, 90, 3, 90, 90, 3, 90], [0, 0, 1, 1]], width: 4, height: 4)
    #expect(parts.area == 5)
    // A hole by the even-odd rule within one polygon that crosses itself.
    let bow = RunLengthMask(polygons: [[0, 0, 8, 8, 8, 0, 0, 8]], width: 8, height: 8)
    #expect(bow.area < 40 && bow.area >= 24)
  }

  @Test func scenesHaveTheirObjects() {
    let scenes = SyntheticScenes(count: 50, width: 64, height: 64, seed: 1, hasOutlines: true)
    var seen = Set<Int>()
    for index in 0..<50 {
      let objects = scenes.annotations(index)
      let image = scenes.image(index)
      #expect((1...3).contains(objects.count))
      for object in objects {
        seen.insert(object.label)
        let mask = object.outline?.mask(width: 64, height: 64)
        // The rows at a triangle's tip may hold no pixel's centre.
        var bounds = mask?.boundingBox
        if object.label == 3, let top = bounds?.y1, top - object.box.y1 <= 2 { bounds?.y1 = object.box.y1 }
        #expect(bounds == object.box)
        // Bright on dark.
        let inside = Double((object.box.x1 + object.box.x2) / 2)
        let place = (Int((object.box.y1 + object.box.y2) / 2) * 64 + Int(inside)) * 3
        #expect(image.pixels[place] > 70)
        for another in objects where another.box != object.box {
          #expect(object.box.intersectionOverUnion(another.box) == 0)
        }
      }
    }
    #expect(seen == [1, 2, 3])
    // Benchmarks/reference/synthetic.py makes them a second time.
    let bytes = (0..<5).flatMap { index in
      scenes.image(index).pixels
        + scenes.annotations(index).flatMap {
          [UInt8($0.label)] + [$0.box.x1, $0.box.y1, $0.box.width, $0.box.height].map { UInt8($0) }
        }
    }
    #expect(fingerprint(bytes) == 9_223_485_726_129_579_383)
    #expect(scenes.image(7).pixels == scenes.image(7).pixels)
    #expect(scenes.image(7).pixels != scenes.image(8).pixels)
  }

  @Test func batchesAreScaledMirroredAndPadded() throws {
    let directory = try TemporaryDirectory()
    try writeCOCO(directory, images: 2)
    let source = try COCO(directory: directory.path, split: .train, skipsEmpty: true)
    var batches = DetectionBatches(source: source, size: .fitted(shorter: 30, longer: 1000), multiple: 32)
    batches.hasMasks = true
    var random = SeededRandom(1)
    let batch = try batches.batch([1, 0], epoch: 0, random: &random)
    // 80×60 becomes 40×30, padded to 64×32; crowds are left out.
    #expect(batch.inputs.map(\.shape) == [[2, 3, 32, 64], [2, 5]])
    #expect(batch.targets.map(\.shape) == [[2, 2, 4], [2, 2], [2, 2, 32, 64]])
    #expect(batch.inputs[1].storage == .floats([40, 30, 0.5, 0.5, 1, 40, 30, 0.5, 0.5, 0]))
    #expect(batch.targets[1].storage == .integers([2, 1, 2, 1]))
    guard case .floats(let pixels) = batch.inputs[0].storage, case .floats(let boxes) = batch.targets[0].storage,
      case .bytes(let masks) = batch.targets[2].storage
    else {
      Issue.record("wrong types")
      return
    }
    #expect(Array(boxes.prefix(4)) == [5, 10, 20, 20])
    // Blue comes first; the gradient falls from 180 − 115.95 … along the rows.
    let blue: Float = 180 - 102.98
    #expect(abs(pixels[0] - blue) < 4)
    #expect(pixels[40] == 0 && pixels[31 * 64] == 0)
    #expect(masks[..<2048].count { $0 == 1 } == 150)
    #expect(masks[10 * 64 + 5] == 1 && masks[9 * 64 + 5] == 0 && masks[10 * 64 + 4] == 0)
    // Mirrored: the box and its pixels too.
    batches.mirrors = true
    var isSeen = false
    for seed in 1..<20 where !isSeen {
      var random = SeededRandom(UInt64(seed))
      let mirrored = try batches.batch([0], epoch: 0, random: &random)
      guard case .floats(let own) = mirrored.targets[0].storage, case .bytes(let masks) = mirrored.targets[2].storage,
        own[0] != 5
      else { continue }
      isSeen = true
      #expect(Array(own.prefix(4)) == [20, 10, 35, 20])
      #expect(masks[10 * 64 + 20] == 1 && masks[10 * 64 + 34] == 1 && masks[10 * 64 + 35] == 0)
    }
    #expect(isSeen)
  }

  @Test func defaultBoxesAreSSDs() {
    let boxes = SingleShotDetector.Shape.ssd300.boxes
    #expect(boxes.total == 8732)
    let corners = boxes.corners
    #expect(corners.count == 8732)
    // The first cell of the first map: squares of 21 and √(21 × 45), boxes of 21 √2 × 21 / √2.
    let centre = Float(0.5 / 38)
    for (box, width, height) in [(0, 21.0, 21.0), (1, 30.741, 30.741), (2, 29.698, 14.849), (3, 14.849, 29.698)] {
      #expect(abs(corners[box].width - Float(width / 300)) < 1e-5)
      #expect(abs(corners[box].height - Float(height / 300)) < 1e-5)
      #expect(abs((corners[box].x1 + corners[box].x2) / 2 - centre) < 1e-6)
    }
    // Each object has a box, and every box that overlaps one by a half has its object.
    let objects = [Box(0.1, 0.1, 0.4, 0.5), Box(0.9, 0.9, 0.91, 0.91)]
    let owners = DefaultBoxes.match(corners, objects)
    #expect(owners.count { $0 == 1 } == 1)
    for (box, owner) in zip(corners, owners) where owner <= 0 {
      #expect((box.intersectionOverUnion(objects[0]) >= 0.5) == (owner == 0))
    }
  }

  @Test func augmentedImagesKeepObjects() throws {
    let scenes = SyntheticScenes(count: 30, width: 64, height: 64, seed: 3)
    let boxes = SingleShotDetector.Shape.small.boxes.corners
    let batches = SingleShotBatches(source: scenes, side: 64, boxes: boxes, augments: true)
    var random = SeededRandom(2)
    let batch = try batches.batch(Array(0..<30), epoch: 0, random: &random)
    #expect(batch.inputs[0].shape == [30, 3, 64, 64])
    guard case .floats(let targets) = batch.targets[0].storage, case .integers(let labels) = batch.targets[1].storage
    else { return }
    for image in 0..<30 {
      let own = (image * 1344..<(image + 1) * 1344).filter { labels[$0] > 0 }
      // A crop keeps the centre of at least one object.
      #expect(!own.isEmpty)
      for place in own {
        let box = Array(targets[(4 * place)..<(4 * place + 4)])
        #expect(box[0] >= 0 && box[1] >= 0 && box[2] <= 1.0001 && box[3] <= 1.0001 && box[2] > box[0])
      }
    }
    var again = SeededRandom(2)
    #expect(try batches.batch(Array(0..<30), epoch: 0, random: &again) == batch)
  }
}
