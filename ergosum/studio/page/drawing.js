// A pad to draw a digit on: white on black, with a pen as thick as MNIST's.

import { el } from "./dom.js";

const SIDE = 280;

export class Pad {
  constructor(drawn) {
    this.canvas = el("canvas", { class: "pad", "aria-label": "Draw a digit here", role: "img" });
    this.canvas.width = this.canvas.height = SIDE;
    this.pen = this.canvas.getContext("2d");
    this.clear();
    this.canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.canvas.setPointerCapture(event.pointerId);
      let [x, y] = this.at(event);
      this.line(x, y, x, y);
      const move = (e) => {
        const [u, v] = this.at(e);
        this.line(x, y, u, v);
        [x, y] = [u, v];
      };
      const up = () => {
        this.canvas.removeEventListener("pointermove", move);
        this.canvas.removeEventListener("pointerup", up);
        this.canvas.removeEventListener("pointercancel", up);
        drawn();
      };
      this.canvas.addEventListener("pointermove", move);
      this.canvas.addEventListener("pointerup", up);
      this.canvas.addEventListener("pointercancel", up);
    });
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
  }

  line(x, y, u, v) {
    Object.assign(this.pen, { strokeStyle: "#fff", lineWidth: 24, lineCap: "round", lineJoin: "round" });
    this.pen.beginPath();
    this.pen.moveTo(x, y);
    this.pen.lineTo(u + 0.01, v);
    this.pen.stroke();
  }

  clear() {
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, SIDE, SIDE);
  }

  // The drawing as a PNG of 28 pixels, the side of a frame.
  file() {
    const small = document.createElement("canvas");
    small.width = small.height = 28;
    const pen = small.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.canvas, 0, 0, 28, 28);
    return new Promise((resolve) => {
      small.toBlob((blob) => resolve(new File([blob], "drawn.png", { type: "image/png" })), "image/png");
    });
  }
}
