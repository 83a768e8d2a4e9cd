// The parts of chart.js in use, registered once. Nothing outside this folder imports chart.js.
import { Chart, LinearScale, LineController, LineElement, PointElement } from "chart.js";

Chart.register(LineController, LineElement, PointElement, LinearScale);
Chart.defaults.font.family = '"Inter Variable", system-ui, sans-serif';
Chart.defaults.font.size = 12;
Chart.defaults.animation = false;

export { Chart };
