"use strict";
// The panel of one connectivity estimate; report.js calls it with the panel's place and what it draws.
const drawConnectivity = () => {};
