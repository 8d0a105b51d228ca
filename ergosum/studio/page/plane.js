// The plane: a density as tint, chains as moving points, the last paths of three of them.

const EDGE = 16000;
const TRAIL = 24;

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

export class Plane {
  constructor(canvas) {
    this.canvas = canvas;
    this.ground = document.createElement("canvas");
    this.waiting = [];
    this.trails = [];
    this.points = null;
    this.held = null;
    this.moving = 0;
    document.addEventListener("theme", () => { if (this.held) this.tint(); this.draw(); });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  colour(name) { return getComputedStyle(this.canvas).getPropertyValue(name).trim(); }

  density(told) {
    this.held = { cells: told.cells, root: bytes(told.density) };
    this.waiting = [];
    this.trails = [];
    this.points = null;
    this.tint();
    this.draw();
  }

  tint() {
    const { cells, root } = this.held;
    const [low, high] = [this.colour("--plane-low"), this.colour("--plane-high")].map(rgb);
    this.ground.width = this.ground.height = cells;
    const pen = this.ground.getContext("2d");
    const image = pen.createImageData(cells, cells);
    for (let row = 0; row < cells; row += 1) {
      for (let column = 0; column < cells; column += 1) {
        const share = root[(cells - 1 - row) * cells + column] / 255;
        const at = 4 * (row * cells + column);
        for (let k = 0; k < 3; k += 1) image.data[at + k] = low[k] + share * (high[k] - low[k]);
        image.data[at + 3] = 255;
      }
    }
    pen.putImageData(image, 0, 0);
  }

  chains(told) {
    this.waiting.push([told.n, new Int16Array(bytes(told.x).buffer)]);
    if (!this.moving) this.moving = requestAnimationFrame(() => this.step());
  }

  step() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const take = still ? this.waiting.length : 1 + Math.floor(this.waiting.length / 40);
    for (const [n, points] of this.waiting.splice(0, take)) {
      this.points = points;
      this.n = n;
      this.trails.push([0, 1, 2].map((k) => [points[2 * k], points[2 * k + 1]]));
      if (this.trails.length > TRAIL) this.trails.shift();
    }
    this.draw();
    this.moving = this.waiting.length ? requestAnimationFrame(() => this.step()) : 0;
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const side = Math.round(this.canvas.clientWidth * ratio);
    if (!side) return;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const pen = this.canvas.getContext("2d");
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    if (!this.held) return;
    pen.drawImage(this.ground, 0, 0, side, side);
    if (!this.points) return;
    const at = (v) => (v / EDGE + 1) / 2 * side;
    const names = ["--c1", "--c2", "--c3"];
    for (let k = 0; k < Math.min(3, this.points.length / 2); k += 1) {
      pen.strokeStyle = this.colour(names[k]);
      pen.lineWidth = 1.4 * ratio;
      pen.globalAlpha = 0.85;
      pen.beginPath();
      this.trails.forEach((trail, n) => {
        const [x, y] = trail[k];
        if (n) pen.lineTo(at(x), side - at(y));
        else pen.moveTo(at(x), side - at(y));
      });
      pen.stroke();
    }
    pen.globalAlpha = 0.8;
    pen.fillStyle = this.colour("--ink");
    for (let k = 0; k < this.points.length; k += 2) {
      pen.beginPath();
      pen.arc(at(this.points[k]), side - at(this.points[k + 1]), 1.7 * ratio, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }
}

function rgb(colour) {
  const found = /^#(..)(..)(..)$/.exec(colour);
  return found ? found.slice(1).map((part) => parseInt(part, 16)) : [255, 255, 255];
}
